"""Signing keys live with the data: one set for all processes, rotated without a loss."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import time_machine
from pydantic import SecretStr
from sqlalchemy import delete, func, select

from lti_badges.app import create_app
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.crypto import new_ed25519, new_rsa, to_pem
from lti_badges.core.errors import SettingsError
from lti_badges.core.jwk import rsa_jwk
from lti_badges.openbadges.keys import multibase
from lti_badges.openbadges.verify import Verification, verify_document, verify_jwt
from lti_badges.settings import Settings
from lti_badges.store import KeyRow, open_engine, upgrade
from lti_badges.store.signing_keys import NOTICED_WITHIN_S
from tests.support.campus import Campus
from tests.support.serving import free_port

START = """
import json, pathlib, sys, time
from lti_badges.app import create_app
from lti_badges.context import ToolContext
from lti_badges.settings import Settings
tool = ToolContext.build(Settings.load())
ready, go = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
ready.touch()
while not go.exists():
    time.sleep(0.005)
tool.keys.open()
print(json.dumps([key.kid for key in (*tool.keys.lti_keys(), *tool.keys.issuer_keys())]))
"""


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """What a process of its own is started with."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("LTI_BADGES_")}
    return own | {
        "LTI_BADGES_BASE_URL": settings.base_url,
        "LTI_BADGES_DATABASE_URL": settings.database_url,
        "LTI_BADGES_KEYS_DIR": str(settings.keys_dir),
        **more,
    }


def command(settings: Settings, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`lti-badges …` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "lti_badges", *arguments],
        env=environment(settings, **more),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def keyless_url(database_url: str) -> str:
    """A database in which nobody has made keys yet."""
    engine = open_engine(Settings(database_url=database_url).database_url)
    with engine.begin() as connection:
        connection.execute(delete(KeyRow))
    engine.dispose()
    return database_url


def rows(tool: ToolContext) -> int:
    with tool.sessions() as session:
        return session.scalar(select(func.count()).select_from(KeyRow)) or 0


def test_processes_with_folders_of_their_own_that_start_at_once_agree_on_one_set_of_keys(
    keyless_url: str, tmp_path: Path
) -> None:
    settings = Settings(database_url=keyless_url, keys_dir=tmp_path / "none")
    secret = {"LTI_BADGES_SECRET_KEY": "one secret for all of them"}
    tool = ToolContext.build(settings.model_copy(update={"keys_dir": tmp_path / "first"}))
    upgrade(tool.database)
    go = tmp_path / "go"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", START, str(tmp_path / f"ready{number}"), str(go)],
            env=environment(settings, **secret, LTI_BADGES_KEYS_DIR=str(tmp_path / f"k{number}")),
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    while sum(1 for _ in tmp_path.glob("ready*")) < len(started):
        assert all(each.poll() is None for each in started)
        time.sleep(0.02)
    go.touch()
    told = {each.communicate(timeout=60)[0] for each in started}
    assert len(told) == 1
    assert len(set(json.loads(told.pop()))) == 3 == rows(tool)
    assert not any((tmp_path / f"k{number}").exists() for number in range(4))
    tool.close()


def started(settings: Settings) -> ToolContext:
    """What every start does first."""
    tool = ToolContext.build(settings)
    upgrade(tool.database)
    tool.keys.open()
    return tool


def test_another_secret_stops_the_start_with_one_line(keyless_url: str, tmp_path: Path) -> None:
    first = Settings(database_url=keyless_url, secret_key=SecretStr("the first secret"))
    started(first).close()
    done = command(
        first.model_copy(update={"keys_dir": tmp_path / "keys"}),
        *("serve", "--port", str(free_port())),
        LTI_BADGES_SECRET_KEY="another secret",
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "sealed by another secret" in line
    assert "LTI_BADGES_SECRET_KEY" in line
    started(first).close()


def old_folder(path: Path) -> dict[str, str]:
    """Key files as versions before kept them. Returns the public name of each."""
    path.mkdir(mode=0o700)
    made = int((clock.now() - timedelta(days=9)).timestamp())
    lti, rsa, edwards = new_rsa(), new_rsa(), new_ed25519()
    for name, key in (
        (f"lti-{made}.pem", lti),
        ("issuer-rsa.pem", rsa),
        ("issuer-ed25519.pem", edwards),
    ):
        (path / name).write_text(to_pem(key))
    return {
        "lti": rsa_jwk(lti.public_key())["kid"],
        "rsa": rsa_jwk(rsa.public_key())["kid"],
        "ed25519": multibase(edwards.public_key()),
    }


def test_key_files_of_earlier_versions_are_taken_over(keyless_url: str, tmp_path: Path) -> None:
    old = old_folder(tmp_path / "keys")
    settings = Settings(database_url=keyless_url, keys_dir=tmp_path / "keys")
    tool = started(settings)
    assert tool.keys.signing_key().kid == old["lti"]
    assert tool.keys.issuer_rsa().kid == old["rsa"]
    assert tool.keys.issuer_ed25519().kid == old["ed25519"]
    assert {each.name for each in (tmp_path / "keys").iterdir()} == {
        *("secret.key", ".lock", "taken-over")
    }
    assert rows(tool) == 3
    tool.close()


def test_issuer_keys_that_another_process_made_for_itself_go_on_verifying(
    keyless_url: str, tmp_path: Path
) -> None:
    kids = {}
    for name in ("web", "worker"):
        kids[name] = old_folder(tmp_path / name)
        settings = Settings(
            database_url=keyless_url, keys_dir=tmp_path / name, secret_key=SecretStr("one secret")
        )
        started(settings).close()
    tool = ToolContext.build(Settings(database_url=keyless_url, secret_key=SecretStr("one secret")))
    assert tool.keys.issuer_ed25519().kid == kids["web"]["ed25519"]
    retired = {key.kid for key in tool.keys.issuer_keys() if key.retired_at}
    assert retired == {kids["worker"]["ed25519"], kids["worker"]["rsa"]}
    assert [key.kid for key in tool.keys.lti_keys()] == [kids["web"]["lti"]]
    tool.close()


def test_only_the_secret_is_kept_in_the_folder(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path}/t.db", keys_dir=tmp_path / "keys")
    assert command(settings, "keys", "list").returncode == 0
    assert {each.name for each in (tmp_path / "keys").iterdir()} == {"secret.key", ".lock"}
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "keys/secret.key").stat().st_mode & 0o777 == 0o600
    stored = (tmp_path / "t.db").read_bytes()
    assert b"PRIVATE KEY" not in stored


def fetch(url: str) -> dict[str, Any] | None:
    """A document over HTTP, as a stranger's verifier would read it."""
    answer = httpx.get(url, headers={"Accept": "application/json"})
    return answer.json() if answer.status_code == 200 else None


def checked(campus: Campus, sub: str) -> tuple[str, str, Verification, Verification]:
    """The names of the keys of somebody's credential, and what strangers find about both forms."""
    url = f"{campus.tool}/credentials/{campus.award_of(sub).id}"
    document, token = httpx.get(f"{url}.json").json(), httpx.get(f"{url}.jwt").text
    return (
        document["proof"][0]["verificationMethod"].partition("#")[2],
        jwt.get_unverified_header(token)["kid"].rpartition("/")[2],
        verify_document(document, fetch, clock.now()),
        verify_jwt(token, fetch, clock.now()),
    )


@pytest.fixture
def two_issued(campus: Campus, settings: Settings) -> Campus:
    """One credential before a rotation by another process, one after it."""
    campus.rule()
    campus.grade("5", 46)
    campus.grade("6", 10)
    campus.sync()
    campus.deliver()
    before = campus.context.keys.issuer_rsa().kid
    rotated = command(settings, "keys", "rotate")
    assert rotated.returncode == 0, rotated.stderr
    until = time.monotonic() + NOTICED_WITHIN_S * 3
    while campus.context.keys.issuer_rsa().kid == before:
        assert time.monotonic() < until, "the rotation was not noticed"
        time.sleep(0.1)
    campus.grade("6", 46)
    campus.sync()
    campus.deliver()
    return campus


def test_a_rotation_by_another_process_leaves_old_credentials_good_for_ever(
    two_issued: Campus, settings: Settings
) -> None:
    listed = json.loads(command(settings, "keys", "list", "--json").stdout)
    retired = {each["kid"] for each in listed if each["retired_at"]}
    signing = {each["kid"] for each in listed if each["signs"]}
    old, new = checked(two_issued, "5"), checked(two_issued, "6")
    assert {old[0], old[1]} == retired
    assert {new[0], new[1]} <= signing
    assert all(each.passed for each in (*old[2:], *new[2:])), (old, new)
    profile = fetch(f"{two_issued.tool}/issuers/{two_issued.award_of('5').backend_id}")
    assert profile is not None
    marks = {
        each["publicKeyMultibase"]: "expires" in each for each in profile["verificationMethod"]
    }
    assert marks == {old[0]: True, new[0]: False}
    page = httpx.get(
        f"{two_issued.tool}/credentials/{two_issued.award_of('5').id}",
        headers={"Accept": "text/html"},
    ).text
    assert "The content is exactly what the issuer signed" in page
    with time_machine.travel(clock.now() + timedelta(days=4000), tick=True):
        assert checked(two_issued, "5")[2].passed


def test_what_a_retired_key_signs_later_is_refused(lite: Campus) -> None:
    lite.rule()
    lite.grade("5", 46)
    lite.sync()
    old = lite.context.keys.issuer_ed25519()
    lite.context.keys.rotate()
    with time_machine.travel(clock.now() + timedelta(hours=1), tick=True):
        lite.deliver()
        kid, _, good, _ = checked(lite, "5")
        assert kid != old.kid
        assert good.passed
        from lti_badges.openbadges.proofs import sign_data_integrity

        url = f"{lite.tool}/credentials/{lite.award_of('5').id}"
        document = httpx.get(f"{url}.json").json()
        method = f"{document['issuer']['id']}#{old.kid}"
        forged = sign_data_integrity(document, old.private, method, clock.now())
        failed = [c for c in verify_document(forged, fetch, clock.now()).checks if not c.passed]
    assert [check.name for check in failed] == ["Signature"]
    assert "retired" in failed[0].sentence


def test_a_key_made_a_month_ago_and_replaced_goes_from_the_key_set(lite: Campus) -> None:
    keys = lite.context.keys
    first = keys.signing_key().kid
    keys.rotate()
    with time_machine.travel(clock.now() + timedelta(days=31), tick=True):
        keys.rotate()
        assert first not in {key.kid for key in keys.lti_keys()}
        assert len(keys.lti_keys()) == 2
        assert len(keys.issuer_keys()) == 6


def test_after_a_lost_secret_credentials_still_verify(
    lite: Campus, sqlite_settings: Settings
) -> None:
    lite.rule()
    lite.grade("5", 46)
    lite.sync()
    lite.deliver()
    document = httpx.get(f"{lite.tool}/credentials/{lite.award_of('5').id}.json").json()
    lost = {"LTI_BADGES_SECRET_KEY": "a new secret"}
    done = command(sqlite_settings, "keys", "rotate", "--secret-lost", **lost)
    assert done.returncode == 0, done.stderr
    new = sqlite_settings.model_copy(update={"secret_key": SecretStr("a new secret")})
    client = create_app(new).test_client()

    def fetched(url: str) -> dict[str, Any] | None:
        found = client.get(url.removeprefix(lite.tool), headers={"Accept": "application/json"})
        return found.json if found.status_code == 200 else None

    assert verify_document(document, fetched, clock.now()).passed
    with pytest.raises(SettingsError, match="sealed by another secret"):
        ToolContext.build(sqlite_settings).keys.open()
