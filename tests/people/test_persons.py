"""Persons across courses; everything held of one handed out, and taken away."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import httpx
from click.testing import CliRunner
from sqlalchemy import select, text

from lti_badges.cli.main import cli
from lti_badges.people.held import erasure_of, export_person
from lti_badges.pipeline import erase_person
from lti_badges.sandbox.demo_course import COURSE
from lti_badges.sandbox.model import Course as SandboxCourse
from lti_badges.store import (
    DEFAULT_INSTITUTION,
    Base,
    CourseMember,
    IssuedCredential,
    Person,
)
from tests.support.campus import TEACHER, Campus
from tests.web.test_course_pages import Pages

BEN = "5"


def earned(campus: Campus) -> None:
    """Ben has the badge, and is in a second course."""
    campus.rule()
    campus.grade(BEN, 46)
    campus.sync()
    campus.deliver()
    course = campus.world.courses[COURSE]
    other = SandboxCourse("77", "S2", "Statistics 2", members=list(course.members))
    other.links = course.links
    campus.world.courses["77"] = other
    assert campus.enter(TEACHER, course="77").status_code == 200
    assert campus.enter(BEN, course="77").status_code == 200


def test_one_person_stands_behind_the_members_of_all_courses(lite: Campus) -> None:
    earned(lite)
    sub = lite.world.user_id(BEN)
    with lite.context.sessions() as session:
        person = session.scalars(select(Person).where(Person.sub == sub)).one()
        members = session.scalars(select(CourseMember).where(CourseMember.sub == sub)).all()
        assert len(members) == 2
        assert {each.person_id for each in members} == {person.id}
        assert person.email == members[0].email
        assert not session.scalars(
            select(CourseMember).where(CourseMember.person_id.is_(None))
        ).all()
    page = Pages(lite, BEN, course="77").first.text
    assert "Statistics 101" in page  # earned in the other course


def test_an_export_holds_every_row_and_no_other_persons(lite: Campus, tmp_path: Path) -> None:
    earned(lite)
    tool = lite.context.within(DEFAULT_INSTITUTION)
    told = export_person(tool, lite.world.user_id(BEN))
    assert len(told["memberships"]) == 2
    (award,) = told["awards"]
    assert told["credentials"][0]["award_id"] == award["id"]
    assert Fraction(told["results"][0]["score"]) >= 0
    with lite.context.sessions() as session:
        mine = {each["id"] for each in told["memberships"]}
        for table in ("results", "standings", "awards"):
            stored = session.execute(text(f"SELECT member_id FROM {table}")).scalars().all()
            assert len(told[table]) == sum(each in mine for each in stored), table
        others = session.scalars(
            select(CourseMember.email).where(CourseMember.id.not_in(mine))
        ).all()
    everything = json.dumps(told)
    assert not [each for each in others if each and each in everything]
    settings = lite.context.settings
    env = {
        "LTI_BADGES_BASE_URL": settings.base_url,
        "LTI_BADGES_DATABASE_URL": settings.database_url,
        "LTI_BADGES_KEYS_DIR": str(settings.keys_dir),
    }
    folder = tmp_path / "ben"
    sub = lite.world.user_id(BEN)
    done = CliRunner().invoke(cli, ["people", "export", sub, "--to", str(folder)], env=env)
    assert done.exit_code == 0, done.output
    assert (folder / "person.json").stat().st_mode & 0o777 == 0o600
    assert json.loads((folder / f"{award['id']}.json").read_text())["id"].endswith(award["id"])


def test_an_erasure_leaves_nothing_of_the_learner(lite: Campus) -> None:
    earned(lite)
    tool = lite.context.within(DEFAULT_INSTITUTION)
    sub, award = lite.world.user_id(BEN), lite.award_of(BEN)
    preview = erasure_of(tool, sub)
    assert (preview.courses, preview.awards, len(preview.standing)) == (2, 1, 1)
    assert lite.award_of(BEN).state == "issued"  # a preview changes nothing
    url = f"{lite.tool}/credentials/{award.id}"
    assert erase_person(tool, sub, by="a test").left == ()
    with lite.context.sessions() as session:
        for table in Base.metadata.tables:
            for row in session.execute(text(f"SELECT * FROM {table}")):
                kept = " ".join(str(value) for value in row)
                assert "ben.carter" not in kept, (table, kept)
                assert str(award.recipient["name"]) not in kept, (table, kept)
        held = session.get_one(IssuedCredential, award.id)
        assert held.revoked_at is not None
    for form in ("", ".json", ".jwt", ".png"):
        assert httpx.get(url + form).status_code == 404, form
    assert lite.winners() == lite.expected() - {BEN}
