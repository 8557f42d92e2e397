"""Hosts that store what this tool signs: any Open Badges 3.0 host, and Timeback's other way."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from sqlalchemy import select

from lti_badges.awarding.manual import revoke
from lti_badges.backends import AchievementDraft
from lti_badges.catalogue.achievements import create_achievement
from lti_badges.core import clock
from lti_badges.delivery.reconcile import MISSING, reconcile
from lti_badges.openbadges.verify import verify_document
from lti_badges.queries.learner import learner_badges
from lti_badges.store import Award, BackendRow
from tests.backends.test_contract import REMOTE, Kind, add
from tests.support.campus import Campus
from tests.support.standard_servers import API, Ob3Server
from tests.web.test_admin import Console

DRAFT = AchievementDraft("Stats", "Knows statistics.", "Pass the quiz.")
TIMEBACK = Kind(
    "timeback",
    Ob3Server,
    {"url": "{base}", "token_url": "{base}/token", "client_id": "c", "user_id": "sub"}
    | {"way": "credentials", "generation": "alpha", "issuer_name": "Example University"},
    {"client_secret": "s3cret"},
)


@pytest.fixture
def server() -> Iterator[Ob3Server]:
    with Ob3Server().running() as running:
        yield running


def earned(campus: Campus, backend_id: str) -> Award:
    """The demo's winners have their badges there; one of them."""
    campus.rule(badge=create_achievement(campus.context, backend_id, DRAFT))
    campus.sync()
    campus.deliver()
    assert {award.state for award in campus.awards()} == {"issued"}
    return campus.awards()[0]


def public(campus: Campus, document: dict[str, object]) -> bool:
    """What any verifier finds, asking for each document by its own address."""

    def fetch(url: str) -> dict[str, object] | None:
        answer = httpx.get(url, headers={"Accept": "application/ld+json"})
        return answer.json() if answer.status_code == 200 else None

    return verify_document(document, fetch, clock.now()).passed


def test_a_host_stores_credentials_that_verify_until_they_are_revoked(
    lite: Campus, server: Ob3Server
) -> None:
    backend_id = add(lite.context, REMOTE["ob3-host"], server.base)
    award = earned(lite, backend_id)
    stored = server.credentials[f"{lite.tool}/credentials/{award.id}"]
    assert len(server.credentials) == len(lite.awards())
    assert public(lite, stored)
    page = httpx.get(f"{lite.tool}/credentials/{award.id}", headers={"Accept": "text/html"}).text
    assert "This credential is valid" in page
    shown = learner_badges(lite.context, award.course_id, award.member_id)
    assert shown.earned[0].is_ours
    revoke(lite.context, award.id, reason="A mistake", by="a test")
    lite.deliver()
    assert lite.awards()[0].state == "revoked"
    assert not public(lite, stored)


def test_sent_again_after_a_lost_reply_it_replaces_itself(lite: Campus, server: Ob3Server) -> None:
    backend_id = add(lite.context, REMOTE["ob3-host"], server.base)
    server.faults = ["after-drop", "after-500", "before-500"]
    lite.rule(badge=create_achievement(lite.context, backend_id, DRAFT))
    lite.sync()
    lite.deliver()
    with lite.context.sessions.begin() as session:
        for row in session.scalars(select(Award)):
            row.next_attempt_at = row.rest_until = row.created_at  # the rest is over
        session.get_one(BackendRow, backend_id).paused_until = None
    lite.deliver()
    assert server.faults == []
    assert set(server.credentials) == {
        f"{lite.tool}/credentials/{award.id}" for award in lite.awards()
    }


def test_the_daily_comparison_reads_the_hosts_pages(lite: Campus, server: Ob3Server) -> None:
    backend_id = add(lite.context, REMOTE["ob3-host"], server.base)
    award = earned(lite, backend_id)
    kept = server.credentials.pop(f"{lite.tool}/credentials/{award.id}")
    lost = {**kept, "id": f"{lite.tool}/credentials/0"}  # of a database that was set back
    foreign = {**kept, "id": "urn:x", "issuer": {"id": "https://else.example"}}
    server.credentials |= {"lost": lost, "urn:x": foreign}
    report = reconcile(lite.context, backend_id, force=True)
    assert (report.checked, report.missing, report.foreign) == (len(lite.awards()), 1, 1)
    assert lite.awards()[0].error == MISSING


def test_timeback_stores_what_is_signed_here_for_its_own_learner(
    lite: Campus, server: Ob3Server
) -> None:
    award = earned(lite, add(lite.context, TIMEBACK, server.base))
    stored = server.credentials[f"{lite.tool}/credentials/{award.id}"]
    assert stored["issuer"]["name"] == "Example University"
    identifiers = stored["credentialSubject"]["identifier"]
    assert {"oneRosterSourcedId": award.recipient["lti_user_id"]}.items() <= {
        each["identityType"]: each["identityHash"] for each in identifiers
    }.items()
    assert public(lite, stored)
    report = reconcile(lite.context, award.backend_id, force=True)
    assert report.missing == 0
    revoke(lite.context, award.id, reason="A mistake", by="a test")
    lite.deliver()
    assert lite.awards()[0].state == "revoked"
    assert not public(lite, stored)


def test_the_tool_registers_itself_and_a_person_lets_it_in(lite: Campus, server: Ob3Server) -> None:
    console = Console(lite)
    fields = {"kind": "ob3-host", "name": "wallet", "url": f"{server.base}{API}"}
    assert "Sign in" in console.post("/backends", **fields).text
    with lite.context.sessions() as session:
        row = session.scalars(select(BackendRow).where(BackendRow.name == "wallet")).one()
    assert "press “Sign in”" in console.post(f"/backends/{row.id}/check").text
    answer = console.post(f"/backends/{row.id}/consent").text
    link = re.search(r'href="([^"]+)"', answer)
    assert link
    done = httpx.get(html.unescape(link.group(1)), follow_redirects=True)
    assert "wallet is connected" in done.text
    (registration,) = server.registrations
    assert registration["redirect_uris"] == [f"{lite.tool}/admin/consent"]
    assert registration["token_endpoint_auth_method"] == "client_secret_basic"
    for _ in range(2):
        server.tokens.clear()
        assert "✓" in console.post(f"/backends/{row.id}/check").text
    console.post("/backends", **fields, issuer_name="Example University")
    server.tokens.clear()
    assert "✓" in console.post(f"/backends/{row.id}/check").text
    console.post("/backends", **{**fields, "url": f"{server.base}/else{API}"})
    assert "✓" not in console.post(f"/backends/{row.id}/check").text


def test_a_badge_names_who_issued_it(lite: Campus) -> None:
    kind = REMOTE["timeback"]
    with kind.server().running() as server:
        award = earned(lite, add(lite.context, replace(kind, settings=NAMED), server.base))
        shown = learner_badges(lite.context, award.course_id, award.member_id)
        assert shown.earned[0].issuer == "timeback"  # it signs, whatever our own issuer is called


NAMED = {**REMOTE["timeback"].settings, "issuer_name": "Badges"}


@pytest.mark.parametrize("garbage", ["{}", '{"credential": "x"}', '{"credential": ["x"]}'])
def test_a_list_that_can_not_be_read_makes_nothing_missing(
    lite: Campus, server: Ob3Server, garbage: str
) -> None:
    backend_id = add(lite.context, REMOTE["ob3-host"], server.base)
    award = earned(lite, backend_id)
    server.garbage = garbage
    report = reconcile(lite.context, backend_id, force=True)
    assert report.error
    assert report.missing == 0
    with lite.context.sessions() as session:
        assert session.get_one(Award, award.id).error is None
