"""An independent verifier (@digitalbazaar/vc) accepts our credentials, not bent or revoked ones."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from lti_badges.awarding.manual import revoke
from lti_badges.openbadges.canonical import load_context
from tests.support.campus import Campus
from tests.support.serving import PATIENCE_S

FOLDER = Path(__file__).parent / "verifiers"
pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (FOLDER / "node_modules").is_dir(),
    reason="Node.js or its packages are not there (npm ci --prefix tests/openbadges/verifiers)",
)
CONTEXTS = (
    "https://www.w3.org/ns/credentials/v2",
    "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json",
    "https://w3id.org/security/multikey/v1",
)


def verified(credential: dict[str, Any]) -> tuple[bool, str]:
    """What the other verifier says, with documents fetched from the tool over HTTP."""
    documents = {url: load_context(url)["document"] for url in CONTEXTS}
    issuer = credential["issuer"]["id"]
    status = credential["credentialStatus"]["statusListCredential"]
    for url in (issuer, status):
        documents[url] = httpx.get(url, headers={"Accept": "application/json"}).json()
    done = subprocess.run(
        ["node", "verify.mjs"],
        cwd=FOLDER,
        input=json.dumps({"credential": credential, "documents": documents}),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return answer["verified"], answer["error"]


def test_another_verifier_comes_to_the_same_verdict(lite: Campus) -> None:
    lite.rule()
    lite.grade("5", 46)
    lite.sync()
    lite.deliver()
    award = lite.award_of("5")
    credential = httpx.get(f"{lite.tool}/credentials/{award.id}.json").json()
    assert verified(credential) == (True, "")
    words = "The criteria of this badge were met."
    bent = json.loads(json.dumps(credential).replace(words, "All criteria were met at once."))
    assert bent != credential
    assert not verified(bent)[0]
    revoke(lite.context, award.id, reason="A mistake", by="Ada")
    lite.deliver()
    assert verified(credential) == (False, "revoked")
