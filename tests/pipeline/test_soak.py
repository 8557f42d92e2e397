"""Random grades, lost and doubled readings, outages: in the end the awards equal what a fresh look
at the LMS's own books says. `SOAK=10000x20 make test` runs it large."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from fractions import Fraction

import pytest

from lti_badges.rules import AllOf, AtLeastN, Criterion, ScoreAtLeast
from lti_badges.sandbox import Item, Person
from lti_badges.sandbox.demo_course import COURSE
from lti_badges.settings import Settings
from tests.support.campus import Campus, campus

LEARNERS, ITEMS = (int(each) for each in os.environ.get("SOAK", "150x6").split("x"))
ROUNDS = 12
FAULTS = ("500", "429:1", "drop", "garbage", "html", "404", "403")
ADDRESSES = (
    f"/api/{COURSE}/lineitems",
    f"/api/{COURSE}/memberships",
    "/lti/token",
)
MAXIMUM = 30

Books = dict[str, dict[str, Fraction]]
"""Points by item and person, as the LMS has them."""


def filled(here: Campus) -> Books:
    """Learners and items besides those of the demo."""
    course = here.world.courses[COURSE]
    here.world.page_size = 500
    for number in range(LEARNERS):
        sub = str(5000 + number)
        here.world.people[sub] = Person(sub, "Learner", sub, f"l{sub}@example.org")
        course.members.append(sub)
    for number in range(ITEMS):
        name = f"Item {number}"
        course.items[f"s{number}"] = Item(f"s{number}", name, Fraction(MAXIMUM))
    return {key: item.scores for key, item in course.items.items() if key.startswith("s")}


def rules_for(here: Campus) -> list[tuple[Criterion, Callable[[Books, str], bool]]]:
    """Each rule with an oracle of its own, written without the code under test."""

    def score(number: int, percent: int) -> ScoreAtLeast:
        label = f"Item {number}"
        return ScoreAtLeast(here.item_key(label), label, Fraction(percent, 100))

    def has(books: Books, sub: str, number: int, percent: int) -> bool:
        return books[f"s{number}"].get(sub, Fraction(-1)) * 100 >= percent * MAXIMUM

    return [
        (score(0, 80), lambda books, sub: has(books, sub, 0, 80)),
        (
            AllOf((score(1, 50), score(2, 60))),
            lambda books, sub: has(books, sub, 1, 50) and has(books, sub, 2, 60),
        ),
        (
            AtLeastN(2, (score(3, 70), score(4, 70), score(5, 70))),
            lambda books, sub: sum(has(books, sub, n, 70) for n in (3, 4, 5)) >= 2,
        ),
    ]


def change_grades(books: Books, subs: list[str], chance: random.Random) -> None:
    """Grades appear and rise: under “keep”, what was seen once is never taken back."""
    for _ in range(LEARNERS):
        scores, sub = books[chance.choice(sorted(books))], chance.choice(subs)
        thirds = chance.randint(0, MAXIMUM * 3 + 6)  # now and then over-full
        scores[sub] = max(scores.get(sub, Fraction(0)), Fraction(thirds, 3))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_the_awards_equal_those_of_a_fresh_look(sqlite_settings: Settings, seed: int) -> None:
    chance = random.Random(seed)
    with campus(sqlite_settings, "other", shows_all_columns=True) as here:
        books = filled(here)
        here.course_id()
        here.sync()
        rules = rules_for(here)
        badges = {here.badge(f"Badge {n}"): rule for n, rule in enumerate(rules)}
        for badge, (criterion, _) in badges.items():
            here.rule(criterion, badge=badge)
        subs = [str(5000 + number) for number in range(LEARNERS)]
        disturbed = 0
        for _ in range(ROUNDS):
            change_grades(books, subs, chance)
            for _ in range(chance.randint(0, 2)):
                here.world.faults.next(chance.choice(ADDRESSES), chance.choice(FAULTS))
            for _ in range(chance.choice((0, 1, 1, 2))):  # a reading is lost, or comes twice
                disturbed += bool(here.sync().errors)
            if chance.random() < 0.5:
                here.deliver()
            if chance.random() < 0.3:
                here.enter(chance.choice(subs))
        assert disturbed
        here.world.faults.clear()
        here.sync()
        here.deliver()

        expected = {
            (badge, here.world.user_id(sub))
            for badge, (_, oracle) in badges.items()
            for sub in subs
            if oracle(books, sub)
        }
        awards = here.awards()
        given = [(award.achievement_id, award.recipient["lti_user_id"]) for award in awards]
        assert len(given) == len(set(given))
        assert set(given) == expected
        assert expected
        assert {award.state for award in awards} == {"issued"}
