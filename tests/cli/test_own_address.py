"""`doctor` calls the tool's own address: what a proxy in between leads elsewhere, drops or adds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from flask import Flask, Response, request

from lti_badges.cli.reached import own_address
from lti_badges.context import ToolContext
from lti_badges.core.errors import LtiBadgesError
from tests.support.campus import Campus
from tests.support.serving import free_port, served


def behind(tool: str, change: Callable[[Response], object]) -> Flask:
    """A proxy that changes each answer."""
    app = Flask("proxy")

    @app.get("/<path:path>")
    def anything(path: str) -> Any:
        answer = httpx.get(f"{tool}/{path}", headers={"Host": request.host})
        found = Response(answer.content, answer.status_code, dict(answer.headers))
        change(found)
        return found

    return app


def said_of(campus: Campus, base_url: str) -> str:
    settings = campus.context.settings.model_copy(update={"base_url": base_url})
    tool = ToolContext.build(settings)
    try:
        return own_address(tool)
    finally:
        tool.close()


def test_an_address_that_leads_here_is_in_order(lite: Campus) -> None:
    assert said_of(lite, lite.tool) == "leads here, and the headers arrive as they were sent"


def test_one_that_can_not_be_reached_from_here_is_no_fault(lite: Campus) -> None:
    said = said_of(lite, f"http://127.0.0.1:{free_port()}")
    assert said.startswith("not reached from this machine")
    assert said.endswith("look at it from outside")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda answer: answer.set_data("{}"), "answers with other keys"),
        (lambda answer: setattr(answer, "status_code", 502), "answers with other keys"),
        (
            lambda answer: answer.headers.remove("Content-Security-Policy"),
            "Content-Security-Policy: pass it on",
        ),
        (
            lambda answer: answer.headers.add("Content-Security-Policy", "default-src 'self'"),
            "Content-Security-Policy: pass it on",
        ),
        (
            lambda answer: answer.headers.set("X-Frame-Options", "DENY"),
            "A proxy adds the header X-Frame-Options",
        ),
    ],
)
def test_what_a_proxy_changes_is_named(
    lite: Campus, change: Callable[[Response], object], sentence: str
) -> None:
    with served(behind(lite.tool, change)) as base, pytest.raises(LtiBadgesError) as told:
        said_of(lite, base)
    assert sentence in told.value.message


def test_a_proxy_that_changes_nothing_is_not_noticed(lite: Campus) -> None:
    with served(behind(lite.tool, lambda answer: None)) as base:
        assert said_of(lite, base).startswith("leads here")
