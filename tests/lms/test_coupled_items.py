"""An LMS that names no list of line items, only that of each placed link (AGS 2.0 §3.1.1)."""

from __future__ import annotations

from fractions import Fraction

import pytest
from sqlalchemy import select

from lti_badges.rules import ScoreAtLeast
from lti_badges.sandbox.demo_course import COURSE, QUIZ
from lti_badges.settings import Settings
from lti_badges.store import LineItem
from tests.support.campus import TEACHER, Campus, campus

SCOPES = "https://purl.imsglobal.org/spec/lti-ags/scope/"


def coupled(here: Campus, *scopes: str) -> None:
    """The quiz is the column of the tool's own link, and the launch names no other."""
    here.world.vendor.lists_columns = here.world.vendor.only_own_columns = False
    here.world.courses[COURSE].items[QUIZ].resource_link_id = "main"
    tool = next(iter(here.world.tools.values()))
    rest = frozenset(scope for scope in tool.scopes if not scope.startswith(SCOPES))
    object.__setattr__(tool, "scopes", rest | {SCOPES + scope for scope in scopes})
    assert here.enter(TEACHER).status_code == 200


@pytest.mark.parametrize("listing", ["lineitem.readonly", "lineitem", None])
def test_a_rule_reads_the_links_own_item(sqlite_settings: Settings, listing: str | None) -> None:
    with campus(sqlite_settings, "other") as here:
        coupled(here, "result.readonly", *([listing] if listing else []))
        report = here.sync()
        assert not report.errors
        with here.context.sessions() as session:
            (item,) = session.scalars(select(LineItem).where(LineItem.kind == "item"))
        assert item.present
        assert item.label == ("Final quiz" if listing else "Badges")
        here.rule(ScoreAtLeast(item.key, item.label, Fraction(4, 5)))
        here.sync()
        assert here.winners() == here.expected()


def test_a_link_whose_item_is_gone_is_left_out(sqlite_settings: Settings) -> None:
    with campus(sqlite_settings, "other") as here:
        coupled(here, "result.readonly", "lineitem.readonly")
        here.sync()
        del here.world.courses[COURSE].items[QUIZ]
        here.sync()
        with here.context.sessions() as session:
            assert not session.scalars(
                select(LineItem).where(LineItem.kind == "item", LineItem.present.is_(True))
            ).all()
