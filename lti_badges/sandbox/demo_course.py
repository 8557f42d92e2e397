"""The demo's course: the same people and grades each time."""

from __future__ import annotations

import random
from fractions import Fraction

from cryptography.hazmat.primitives.asymmetric import rsa

from lti_badges.core import clock
from lti_badges.sandbox.model import Course, Item, Link, Person
from lti_badges.sandbox.vendors import vendor_of
from lti_badges.sandbox.world import World

DEMO_LMS = "moodle"
COURSE, HOMEWORK, MIDTERM, QUIZ = "2", "11", "12", "13"

NAMES = (
    "Amara Okafor, Ben Carter, Chiara Rossi, Daniel Müller, Elif Yılmaz, Farid Haddad, "
    "Grace Kim, Hugo Sánchez, Ingrid Solberg, Jonas Weber, Kavya Iyer, Liam O'Brien, "
    "Mei Lin, Noah Dubois, Olga Petrova, Pedro Almeida, Quentin Moreau, Rosa García, "
    "Sven Larsson, Tariq Aziz, Uma Patel, Viktor Novák, Wanjiru Mwangi, Xavier Blanc, "
    "Yuki Tanaka, Zofia Nowak, Aylin Demir, Bruno Costa, Clara Schmidt, Dara Sokha"
)
FINALS = (46, 31, 44, 39, 47, 22, 50, 36, 41, 28, 45, 33, 48, None, 40, 37)


def demo_world(base_url: str, lms: str = DEMO_LMS, key: rsa.RSAPrivateKey | None = None) -> World:
    """“Statistics 101”: an instructor, thirty learners, three graded items, completion."""
    world = World(base_url, vendor_of(lms), key)
    course = Course(COURSE, "STAT101", "Statistics 101")
    world.courses[course.id] = course
    _people(world, course)
    for item_id, label, maximum in (
        (HOMEWORK, "Homework 1", 20),
        (MIDTERM, "Midterm", 50),
        (QUIZ, "Final quiz", 50),
    ):
        course.items[item_id] = Item(item_id, label, Fraction(maximum))
    course.activities = {
        "21": "Read the syllabus",
        "22": "Homework 1",
        "23": "Midterm",
        "24": "Final quiz",
    }
    _grades(world, course)
    course.links["main"] = Link("main", "Badges", "")
    world.vendor.prepare(world, course)
    return world


def _people(world: World, course: Course) -> None:
    everybody = [Person("3", "Ada", "Lindqvist", "ada.lindqvist@example.org", "Instructor")]
    for number, name in enumerate(NAMES.split(", "), 4):
        given, _, family = name.partition(" ")
        local = f"{given}.{family}".lower().replace("'", "").replace(" ", "")
        # One learner's address is not shared, one enrolment is suspended: both happen everywhere.
        email = None if given == "Dara" else f"{_ascii(local)}@example.org"
        everybody.append(Person(str(number), given, family, email, active=given != "Clara"))
    for person in everybody:
        world.people[person.sub] = person
        course.members.append(person.sub)


def _grades(world: World, course: Course) -> None:
    chance = random.Random(7)  # noqa: S311 - a demo's grades
    for place, person in enumerate(world.learners_of(course.id)):
        skill = chance.uniform(0.45, 0.98)
        course.items[HOMEWORK].scores[person.sub] = Fraction(round(20 * skill * 2), 2)
        course.items[MIDTERM].scores[person.sub] = Fraction(round(50 * min(skill + 0.03, 1)))
        final = FINALS[place] if place < len(FINALS) else chance.randint(18, 39)
        if final is not None and place != 20:
            course.items[QUIZ].scores[person.sub] = Fraction(final)
        course.done[person.sub] = {"21", "22", "23"} | ({"24"} if final else set())
        if skill > 0.75:
            course.completed[person.sub] = clock.now()
    course.items[QUIZ].scores["19"] = Fraction(3999, 100)


def _ascii(text: str) -> str:
    plain = {"ü": "u", "ı": "i", "á": "a", "í": "i", "é": "e", "ã": "a"}
    return "".join(plain.get(letter, letter) for letter in text if ord(letter) < 0x250)
