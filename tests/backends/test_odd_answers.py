"""Whatever a badge backend answers, its adapter raises nothing but its own family of errors.

A fast part by default; `FUZZ=20` does twenty times as much.
"""

from __future__ import annotations

import importlib
import os
import random
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from lti_badges.backends import KINDS, AchievementDraft
from lti_badges.backends import api as backend_api
from lti_badges.backends.base import BackendConfig
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import BackendError, InvalidInput, OutcomeUnknown, Unavailable
from lti_badges.core.http import Http
from lti_badges.store import Achievement, BackendRow
from lti_badges.values.badge import AchievementRef, Issuance, Recipient
from tests.support.odd import OddHttp, SameAnswer, names_in

ROUNDS = 40 * int(os.environ.get("FUZZ", "1"))
SETTINGS = {
    "url": "https://badges.example",
    "token_url": "https://badges.example/token",
    "username": "a@b.example",
    "client_id": "c",
    "region": "us",
    "organization": "O1",
    "generation": "alpha",
    "user_id": "sub",
    "notify": "no",
    "send_email": "no",
    "study_load": "60",
    "category": "participation",
    "issuer": "I1",
}
SECRETS = {
    "password": "p",
    "client_secret": "s",
    "refresh_token": "r",
    "token": "t",
    "api_key": "k",
    "signing_secret": "s",
}
REMOTE = [kind for kind, backend in KINDS.items() if not backend.traits.is_local]


def issuance() -> Issuance:
    badge = AchievementRef("a", "B1", "Statistics", "d", "c")
    person = Recipient("ada@example.org", "Ada Lovelace", "5", "s5")
    return Issuance("w", "https://tool.example/credentials/w", badge, person, clock.now(), "why")


def stored(context: ToolContext, kind: str) -> str:
    """A backend of the kind with one badge. Returns the backend's id."""
    with context.sessions.begin() as session:
        row = BackendRow(name=kind, kind=kind, settings=SETTINGS)
        session.add(row)
        session.flush()
        backend_id = row.id
        session.add(
            Achievement(
                id="a",
                backend_id=backend_id,
                ref="B1",
                name="Statistics",
                description="d",
                criteria="c",
            )
        )
        return backend_id


def config_of(context: ToolContext, kind: str, backend_id: str, http: Http) -> BackendConfig:
    """As the tool opens a backend."""
    kept = dict(SECRETS)
    return BackendConfig(
        id=backend_id,
        name=kind,
        base_url="https://tool.example",
        http=http,
        sessions=context.sessions,
        keys=context.keys,
        settings=SETTINGS,
        secrets=SECRETS,
        load_secrets=partial(dict, kept),
        save_secrets=kept.update,
    )


@pytest.mark.parametrize("kind", REMOTE)
def test_no_answer_of_a_backend_leaves_its_family_of_errors(
    kind: str, context: ToolContext, tmp_path: Path
) -> None:
    vendor = KINDS[kind]
    names = names_in(importlib.import_module(vendor.__module__), backend_api)
    backend_id = stored(context, kind)
    for seed in range(ROUNDS):
        http = OddHttp(random.Random(f"{kind} {seed}"), names)
        config = config_of(context, kind, backend_id, http)
        calls: list[Callable[[Any], Any]] = [
            lambda it: it.check(),
            lambda it: list(islice(it.achievements(), 500)),
            lambda it: list(it.awards_itself()),
            lambda it: it.find(issuance()),
            lambda it: it.issue(issuance()),
            lambda it: it.revoke(issuance(), "R1", "Copied"),
            lambda it: list(islice(it.holdings("B1") or (), 500)),
            lambda it: it.create(AchievementDraft("Statistics", "d", "c")),
        ]
        for call in calls:
            try:
                call(vendor(config))
            except (BackendError, InvalidInput):
                continue


CREDENTIALS_WITHOUT_ID = {"credentials": [{"name": "Statistics"}]}
BADGES_WITHOUT_ID = {"data": [{"state": "accepted"}]}
STUDENTS_BADGES = "achievementsWithIssuedBadges"
NESTED = b"[" * 100_000


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("accredible", CREDENTIALS_WITHOUT_ID),
        ("credly", BADGES_WITHOUT_ID),
        ("timeback", {STUDENTS_BADGES: [["B1"]]}),
        ("timeback", {STUDENTS_BADGES: [{"sourcedId": "B1", "issuedBadges": 7}]}),
        ("timeback", {STUDENTS_BADGES: [{"sourcedId": "B1", "issuedBadges": ["b"]}]}),
        ("obf-v1", NESTED),
    ],
)
def test_a_list_that_can_t_be_read_never_counts_as_none(
    kind: str, answer: Any, context: ToolContext
) -> None:
    """Taking it for “none” would issue a second badge."""
    config = config_of(context, kind, stored(context, kind), SameAnswer(answer))
    with pytest.raises(Unavailable):
        KINDS[kind](config).find(issuance())


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("accredible", {"credential": {"id": None}}),
        ("credly", {"data": {"id": ""}}),
        ("badgr", {"result": [{"openBadgeId": "https://badges.example/1"}]}),
        ("timeback", {"credential": {"id": 7.5}}),
    ],
)
def test_a_made_badge_whose_id_can_t_be_read_may_have_been_made(
    kind: str, answer: Any, context: ToolContext
) -> None:
    config = config_of(context, kind, stored(context, kind), SameAnswer(answer))
    with pytest.raises(OutcomeUnknown):
        KINDS[kind](config).issue(issuance())
