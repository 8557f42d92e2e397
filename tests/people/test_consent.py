"""Nothing leaves for a badge service that asks, before the learner agreed; receipts are kept."""

from __future__ import annotations

from sqlalchemy import select

from lti_badges.people.consent import set_consent
from lti_badges.store import BackendRow, Consent
from tests.support.campus import Campus
from tests.web.test_course_pages import Pages

BEN = "5"


def test_an_award_waits_for_consent_and_the_answer_is_kept(lite: Campus) -> None:
    with lite.context.sessions() as session:
        backend = session.scalars(select(BackendRow.id)).one()
    set_consent(lite.context, backend, "ask", by="a test")
    lite.rule()
    lite.grade(BEN, 46)
    lite.sync()
    lite.deliver()
    assert {each.state for each in lite.awards()} == {"needs_consent"}
    page = Pages(lite, BEN)
    assert "I agree" in page.first.text
    assert page.post(f"/me/consents/{backend}", answer="perhaps").status_code == 422
    assert "You agreed" in page.post(f"/me/consents/{backend}", answer="agreed").text
    lite.deliver()
    assert lite.award_of(BEN).state == "issued"
    assert {each.state for each in lite.awards()} == {"issued", "needs_consent"}
    assert "I agree" in page.post(f"/me/consents/{backend}", answer="withdrawn").text
    with lite.context.sessions() as session:
        receipts = session.scalars(select(Consent).order_by(Consent.at)).all()
    assert [each.state for each in receipts] == ["agreed", "withdrawn"]
    assert "builtin" in receipts[0].wording
