"""What a condition of a rule can look at in this course, as the form offers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lti_badges.queries.course_sources import Source
from lti_badges.values.badge import AchievementRef
from lti_badges.values.course import Kind

GROUPS = GRADED, COURSE, COMPLETED, PEOPLE, HELD = (
    "Grade items",
    "Course",
    "Activities completed",
    "Sections and groups",
    "Badges held",
)


@dataclass(frozen=True, slots=True)
class Option:
    """One thing a condition can look at, called `name` in the course. `graded` ones take a
    percentage, `worded` ones a list of marks."""

    value: str
    label: str
    group: str
    graded: bool = False
    worded: bool = False
    name: str = ""


def options_for(sources: Sequence[Source], badges: Sequence[AchievementRef]) -> list[Option]:
    """What the form offers, grouped, in the order people look for it."""
    found = []
    for source in sources:
        if not source.present or source.is_own:
            continue
        if source.kind is Kind.ITEM:
            maximum = f" (of {source.maximum})" if source.maximum else ""
            found.append(
                Option(
                    f"item:{source.key}",
                    source.label + maximum,
                    GRADED,
                    graded=True,
                    name=source.label,
                )
            )
            if source.in_words:
                label = f"{source.label}, graded in words"
                found.append(
                    Option(f"mark:{source.key}", label, GRADED, worded=True, name=source.label)
                )
        elif source.kind is Kind.GROUP:
            found.append(Option(f"group:{source.key}", source.label, PEOPLE, name=source.label))
        elif source.kind is Kind.COURSE_GRADE:
            found.append(Option("course_grade:", "Course grade", COURSE, graded=True))
            if source.in_words:
                label = "Course grade, in words"
                found.append(
                    Option(f"mark:{source.key}", label, COURSE, worded=True, name=source.label)
                )
        elif source.kind is Kind.COMPLETION:
            found.append(Option("completion:", "Course completed", COURSE))
        else:
            found.append(
                Option(f"activity:{source.key}", source.label, COMPLETED, name=source.label)
            )
    found += [Option(f"badge:{each.id}", each.name, HELD, name=each.name) for each in badges]
    return sorted(found, key=lambda option: GROUPS.index(option.group))


def only_graded(options: Sequence[Option]) -> str:
    """The value of the one graded item of a course; empty where there are none or several."""
    graded = [option.value for option in options if option.graded and option.group == GRADED]
    return graded[0] if len(graded) == 1 else ""
