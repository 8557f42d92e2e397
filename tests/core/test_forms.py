"""Form input: one sentence for a mistake, with the field it came from."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from lti_badges.core.errors import InvalidInput
from lti_badges.core.forms import Day, Form, Said, Ticked, Whole, read_form


class Sample(Form):
    days: Annotated[Whole, Field(ge=1, le=365), Said("Days are 1 to 365.")] = 7
    first: Annotated[Day | None, Said("“{given}” is not a date.")] = None
    wanted: Ticked = False
    title: Annotated[str, Field(max_length=9), Said("The title is too long.")] = ""


def test_a_form_is_read_and_what_is_empty_is_the_default() -> None:
    sent = {"days": " 30 ", "first": "2026-05-03", "wanted": "on", "title": " A ", "other": "1"}
    assert read_form(Sample, sent) == Sample(
        days=30, first=date(2026, 5, 3), wanted=True, title="A"
    )
    assert read_form(Sample, {"days": " ", "first": "", "title": ""}) == Sample()


@pytest.mark.parametrize("days", ["0", "366", "-1", "+1", "1_0", "1.5", "٣", "many", "9" * 5000])
def test_what_is_no_such_number_is_said_with_its_field(days: str) -> None:
    with pytest.raises(InvalidInput, match="Days are 1 to 365") as refused:
        read_form(Sample, {"days": days})
    assert refused.value.field == "days"


@pytest.mark.parametrize("first", ["1700000000", "2026-13-01", "soon {given}"])
def test_what_is_no_date_is_shown_again(first: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_form(Sample, {"first": first})
    assert refused.value.message == f"“{first}” is not a date."
    assert refused.value.field == "first"


@given(st.dictionaries(st.sampled_from(["days", "first", "wanted", "title"]), st.text()))
def test_any_text_is_read_or_refused_with_a_sentence(sent: dict[str, str]) -> None:
    refused: InvalidInput | None = None
    try:
        read_form(Sample, sent)
    except InvalidInput as error:
        refused = error
    assert refused is None or (refused.message and refused.field in sent)
