"""What every backend must do, shown against servers that behave like the recordings."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import time_machine
from flask import Flask, Response, redirect, request
from sqlalchemy import select

from lti_badges.backends import KINDS, AchievementDraft, Backend
from lti_badges.catalogue.achievements import create_achievement, refresh_achievements
from lti_badges.catalogue.issuance import backend_of
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import (
    BackendError,
    InvalidInput,
    NeedsRecipient,
    Refused,
    Unauthorized,
    Unavailable,
)
from lti_badges.delivery.claims import recover
from lti_badges.delivery.deliver import deliver_due
from lti_badges.openbadges.picture import generated_svg, png_from_svg
from lti_badges.settings import Settings
from lti_badges.store import Achievement, Award, BackendRow
from lti_badges.values.badge import AchievementRef, Issuance, Measure, Recipient
from tests.support.badgr_server import TOKENS, BadgrServer, OebServer
from tests.support.campus import Campus
from tests.support.databases import new_sqlite
from tests.support.faulty import FaultyServer
from tests.support.named_servers import AccredibleServer, CredlyServer
from tests.support.odd import SpoiltHttp
from tests.support.other_backends import ObfServer, Receiver, TimebackServer
from tests.support.serving import served
from tests.support.standard_servers import API, Ob3Server, ObfV1Server

SPOILT_ROUNDS = 5 * int(os.environ.get("FUZZ", "1"))


@dataclass(frozen=True)
class Kind:
    """How a kind is set up against its server."""

    kind: str
    server: type[FaultyServer]
    settings: dict[str, str]
    secrets: dict[str, str]

    def configured(self, base: str) -> dict[str, str]:
        return {name: value.format(base=base) for name, value in self.settings.items()}


REMOTE = {
    kind.kind: kind
    for kind in (
        Kind(
            "badgr",
            BadgrServer,
            {"url": "{base}", "username": "a@b.example", "notify": "no"},
            {"password": TOKENS["password"]},
        ),
        Kind(
            "canvas-credentials",
            BadgrServer,
            {"region": "us", "url": "{base}", "username": "a@b.example", "notify": "no"},
            {"password": TOKENS["password"]},
        ),
        Kind(
            "oeb",
            OebServer,
            {"url": "{base}", "client_id": "c", "notify": "no", "category": "participation"}
            | {"study_load": "60"},
            {"client_secret": "s3cret"},
        ),
        Kind(
            "obf",
            ObfServer,
            {"url": "{base}", "client_id": "C1", "send_email": "no"},
            {"client_secret": "s3cret"},
        ),
        Kind(
            "timeback",
            TimebackServer,
            {"generation": "alpha", "url": "{base}", "token_url": "{base}/oauth2/token"}
            | {"client_id": "c", "user_id": "sub"},
            {"client_secret": "s3cret"},
        ),
        Kind(
            "credly",
            CredlyServer,
            {"url": "{base}", "organization": "O1", "notify": "no"},
            {"token": "s3cret"},
        ),
        Kind(
            "accredible",
            AccredibleServer,
            {"region": "us", "url": "{base}"},
            {"api_key": "s3cret"},
        ),
        Kind(
            "obf-v1",
            ObfV1Server,
            {"url": "{base}", "client_id": "C1", "send_email": "no"},
            {"client_secret": "s3cret"},
        ),
        Kind(
            "ob3-host",
            Ob3Server,
            {"url": "{base}" + API, "client_id": "c"},
            {"client_secret": "s3cret", "refresh_token": "r-first"},
        ),
        Kind("webhook", Receiver, {"url": "{base}/badges"}, {"signing_secret": "s3cret"}),
    )
}


def test_every_remote_kind_stands_in_this_suite() -> None:
    assert set(REMOTE) == {kind for kind, cls in KINDS.items() if not cls.traits.is_local}


@pytest.fixture(params=list(REMOTE))
def kind(request: pytest.FixtureRequest) -> Kind:
    return REMOTE[request.param]


@pytest.fixture
def server(kind: Kind) -> Iterator[FaultyServer]:
    with kind.server().running() as running:
        yield running


@pytest.fixture
def tool_context(tmp_path: Path, keys_folder: Path) -> Iterator[ToolContext]:
    context = ToolContext.build(Settings(database_url=new_sqlite(tmp_path), keys_dir=keys_folder))
    yield context
    context.close()


def add(context: ToolContext, kind: Kind, base: str, secrets: dict[str, str] | None = None) -> str:
    """A row for the backend, the default one. Returns its id."""
    with context.sessions.begin() as session:
        for row in session.scalars(select(BackendRow)):
            row.is_default = False
        row = BackendRow(
            name=kind.kind,
            kind=kind.kind,
            is_default=True,
            settings=kind.configured(base),
            secrets=context.cipher.seal(kind.secrets if secrets is None else secrets),
        )
        session.add(row)
        session.flush()
        return row.id


def opened(context: ToolContext, kind: Kind, base: str, **secrets: str) -> Backend:
    backend_id = add(context, kind, base, secrets or None)
    with context.sessions() as session:
        return backend_of(context, session.get_one(BackendRow, backend_id))


def draft() -> AchievementDraft:
    picture = png_from_svg(generated_svg("Ace"), 128)
    return AchievementDraft("Ace", "Did well.", "Pass the **quiz**.", picture, "image/png")


def order(badge: AchievementRef, number: int = 1) -> Issuance:
    return Issuance(
        award_id=f"award-{number}",
        url=f"http://127.0.0.1:5000/credentials/award-{number}",
        achievement=badge,
        recipient=Recipient("Ann.Lee@Example.org", "Ann Lee", "user-7"),
        achieved_at=clock.now() - timedelta(hours=1),
        explanation="Final quiz: 46 of 50 = 92 % ≥ 80 %.",
        measures=(Measure("Final quiz", "46 of 50", "80 %", "46 of 50"),),
        course_title="Statistics 101",
    )


def made_at(backend: Backend, server: FaultyServer) -> AchievementRef:
    """A badge made by us, or there where it can only be made there."""
    if backend.traits.creates_achievements:
        return backend.create(draft())
    with pytest.raises(Refused):
        backend.create(draft())
    for name in ("One", "Two", "Ace"):
        ref = server.seed(name)  # type: ignore[attr-defined]
    return next(badge for badge in backend.achievements() if badge.ref == ref)


def badge_at(context: ToolContext, server: FaultyServer, backend_id: str) -> str:
    """The same, noted here. Returns our id."""
    with context.sessions() as session:
        row = session.get_one(BackendRow, backend_id)
    if KINDS[row.kind].traits.creates_achievements:
        return create_achievement(context, backend_id, draft())
    with pytest.raises(InvalidInput):
        create_achievement(context, backend_id, draft())
    server.seed("Ace")  # type: ignore[attr-defined]
    refresh_achievements(context, backend_id)
    with context.sessions() as session:
        return session.scalars(
            select(Achievement.id).where(Achievement.backend_id == backend_id)
        ).one()


# What is signed here belongs to an award of ours: test_signed_here.py issues it to learners.
orders = pytest.mark.parametrize(
    "kind", [name for name in REMOTE if not KINDS[name].traits.signs_here], indirect=True
)


@orders
def test_a_badge_is_made_listed_issued_found_and_revoked(
    kind: Kind, server: FaultyServer, tool_context: ToolContext
) -> None:
    backend = opened(tool_context, kind, server.base)
    assert backend.check()
    made = made_at(backend, server)
    listed = {badge.ref: badge for badge in backend.achievements()}
    if listed:
        assert listed[made.ref].name == "Ace"
    issuance = order(replace(made, id="ours"))
    assert backend.find(issuance) is None
    receipt = backend.issue(issuance)
    assert receipt.ref
    assert not receipt.revoked
    if backend.traits.finds:
        found = backend.find(issuance)
        assert found is not None
        assert found.ref == receipt.ref
    assert sum(server.live().values()) == 1
    if not backend.traits.revokes:
        with pytest.raises(Refused):
            backend.revoke(issuance, receipt.ref, "A mistake")
        return
    for _ in range(2):  # revoking again is done already, not an error
        backend.revoke(issuance, receipt.ref, "A mistake")
    assert sum(server.live().values()) == 0
    if backend.traits.finds:
        found = backend.find(issuance)
        assert found is None or found.revoked


@orders
def test_one_odd_place_in_a_true_answer_leaves_no_family_of_errors(
    kind: Kind, server: FaultyServer, tool_context: ToolContext
) -> None:
    backend = opened(tool_context, kind, server.base)
    known = order(replace(made_at(backend, server), id="ours"))
    held = backend.issue(known)
    for seed in range(SPOILT_ROUNDS):
        http = SpoiltHttp(random.Random(f"{kind.kind} {seed}"))
        spoilt = type(backend)(replace(backend.config, http=http))
        fresh = order(known.achievement, seed + 2)
        calls: tuple[Callable[[], object], ...] = (
            spoilt.check,
            lambda it=spoilt: list(it.achievements()),  # type: ignore[misc]
            lambda it=spoilt: list(it.awards_itself()),  # type: ignore[misc]
            partial(spoilt.find, known),
            partial(spoilt.find, fresh),
            lambda it=spoilt: list(it.holdings(known.achievement.ref) or ()),  # type: ignore[misc]
            partial(spoilt.issue, fresh),
            partial(spoilt.revoke, fresh, held.ref, "Copied"),
            partial(spoilt.create, draft()),
        )
        for call in calls:
            with suppress(BackendError, InvalidInput):
                call()
        http.close()


def test_one_login_serves_many_calls(
    kind: Kind, server: FaultyServer, tool_context: ToolContext
) -> None:
    backend = opened(tool_context, kind, server.base)
    for _ in range(3):
        backend.check()
        list(backend.achievements())
    assert server.logins <= 1


@orders
def test_a_learner_without_what_the_backend_needs_waits(
    kind: Kind, server: FaultyServer, tool_context: ToolContext
) -> None:
    backend = opened(tool_context, kind, server.base)
    made = made_at(backend, server)
    nobody = replace(order(made), recipient=Recipient(None, None, ""))
    if not (backend.traits.needs_email or backend.traits.needs_other_id):
        assert backend.issue(nobody).ref
        return
    for call in (backend.find, backend.issue):
        with pytest.raises(NeedsRecipient):
            call(nobody)
    assert not server.live()


def test_wrong_secrets_are_told_as_such(
    kind: Kind, server: FaultyServer, tool_context: ToolContext
) -> None:
    wrong = dict.fromkeys(kind.secrets, "wrong")
    with pytest.raises(Unauthorized) as refused:
        opened(tool_context, kind, server.base, **wrong).check()
    assert "wrong" not in refused.value.message


def test_wrong_addresses_are_told_as_such(kind: Kind, tool_context: ToolContext) -> None:
    with pytest.raises(BackendError):
        opened(tool_context, kind, "http://127.0.0.1:9").check()


@pytest.mark.parametrize("answer", ["html", "empty", "list", "truncated", "404"])
def test_a_server_that_is_something_else_is_told_as_such(
    kind: Kind, tool_context: ToolContext, answer: str
) -> None:
    app = Flask("else")

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
    @app.route("/<path:path>", methods=["GET", "POST"])
    def anything(path: str) -> Any:
        if answer == "404":
            return Response("<h1>Not found</h1>", 404)
        body = {"html": "<html>Welcome</html>", "empty": "", "list": "[]", "truncated": '{"a":'}
        return Response(body[answer], 200, mimetype="text/html")

    with served(app) as base:
        backend = opened(tool_context, kind, base)
        if kind.kind == "webhook" and answer != "404":
            assert backend.check()  # a 2xx is all that is asked of a receiver
            return
        with pytest.raises(BackendError) as told:
            backend.check()
        assert told.value.message.endswith(".")


def test_a_token_never_follows_a_redirect_to_another_host(
    kind: Kind, server: FaultyServer, tool_context: ToolContext
) -> None:
    reached: list[str] = []
    thief, moved = Flask("thief"), Flask("moved")

    @thief.route("/<path:path>", methods=["GET", "POST"])
    def steal(path: str) -> str:
        reached.append(request.headers.get("Authorization", ""))
        return "{}"

    real = server.base

    with served(thief) as elsewhere:
        away = elsewhere.replace("127.0.0.1", "localhost")

        @moved.route("/<path:path>", methods=["GET", "POST"])
        def go(path: str) -> Any:
            if "token" in path:
                return _forward(real, path)
            return redirect(f"{away}/{path}")

        with served(moved) as base, pytest.raises(BackendError):
            opened(tool_context, kind, base).check()
    assert not any(reached)


def _forward(base: str, path: str) -> Response:
    answer = httpx.post(f"{base}/{path}", data=request.form)
    return Response(answer.content, answer.status_code, mimetype="application/json")


FAULTS = [
    *(f"before-{each}" for each in ("drop", "500", "502", "429", "garbage", "empty")),
    *(f"after-{each}" for each in ("drop", "500", "504", "garbage", "empty")),
    *(f"find-{each}" for each in ("drop", "500", "429", "garbage", "odd")),
]


def test_every_fault_leaves_each_learner_with_exactly_one(
    kind: Kind, server: FaultyServer, lite: Campus
) -> None:
    backend_id = add(lite.context, kind, server.base)
    lite.rule(badge=badge_at(lite.context, server, backend_id))
    lite.grade("33", None)  # has no e-mail
    for sub in [p.sub for p in lite.world.learners_of("2") if p.active and p.email]:
        lite.grade(sub, 50)
    lite.sync()
    count = len(lite.awards())
    assert count > len(FAULTS)
    finds = KINDS[kind.kind].traits.finds
    server.faults = [fault for fault in FAULTS if finds or not fault.startswith("find-")]
    if not finds:  # its answer may be anything: a 2xx is the receipt
        server.faults = [f for f in server.faults if f not in {"before-garbage", "before-empty"}]
    with time_machine.travel(clock.now(), tick=True) as moved:
        for _ in range(80):
            recover(lite.context)
            deliver_due(lite.context)
            if all(award.state == "issued" for award in lite.awards()):
                break
            moved.shift(timedelta(minutes=2))
    assert server.faults == []
    assert {award.state for award in lite.awards()} == {"issued"}
    assert len(server.live()) == count
    assert set(server.live().values()) == {1}


def test_the_backends_own_list_is_brought_up_to_date(
    kind: Kind, server: FaultyServer, tool_context: ToolContext
) -> None:
    backend_id = add(tool_context, kind, server.base)
    badge_at(tool_context, server, backend_id)
    if not KINDS[kind.kind].traits.lists:
        assert refresh_achievements(tool_context, backend_id) == 0
        with tool_context.sessions() as session:
            assert not session.scalars(select(Achievement)).one().archived
        return
    assert refresh_achievements(tool_context, backend_id) == 1
    assert refresh_achievements(tool_context, backend_id) == 1
    with tool_context.sessions() as session:
        assert session.scalars(select(Award)).all() == []


def test_nothing_of_a_secret_is_ever_said(
    kind: Kind, server: FaultyServer, tool_context: ToolContext
) -> None:
    backend = opened(tool_context, kind, server.base)
    said = [backend.check(), repr(backend), str(backend.config.settings)]
    for secret in kind.secrets.values():
        assert not any(secret in text for text in said)
    if backend.traits.signs_here:  # it would sign for an award that is not ours
        return
    server.faults = ["before-500"]
    made = made_at(backend, server)
    with pytest.raises((Unavailable, BackendError)) as told:
        backend.issue(order(made))
    assert not any(secret in told.value.message for secret in kind.secrets.values())


@orders
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.startswith("find-")])
def test_a_look_up_that_can_not_be_read_is_never_taken_for_none(
    kind: Kind, server: FaultyServer, tool_context: ToolContext, fault: str
) -> None:
    backend = opened(tool_context, kind, server.base)
    if not backend.traits.finds:
        assert backend.find(order(made_at(backend, server))) is None  # and sending again is safe
        return
    issuance = order(replace(made_at(backend, server), id="ours"))
    backend.issue(issuance)
    server.faults = [fault]
    with pytest.raises(Unavailable):
        backend.find(issuance)
    assert server.faults == []
    assert backend.find(issuance) is not None
