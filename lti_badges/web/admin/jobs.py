"""What runs in the background and what it waits for; the keys it signs with."""

from __future__ import annotations

from flask import Response, render_template

from lti_badges.catalogue.keys import rotate_keys
from lti_badges.core.errors import SettingsError
from lti_badges.queries.work import work
from lti_badges.store.signing_key_rows import LTI
from lti_badges.web.admin.blueprint import admin, by, require_operator, signed_in_admin
from lti_badges.web.polling import polled, unless_seen
from lti_badges.web.services import services

LABELS = {
    "lti": "Proves to LMSes that a request is ours",
    "issuer-rsa": "Signs credentials (VC-JWT)",
    "issuer-ed25519": "Signs credentials (Data Integrity)",
}


@admin.get("/work")
def background_work() -> str | Response:
    """What is due, under way, late; asked for again while the page is open."""
    try:
        queued, trouble = services().queue.waiting(), ""
    except SettingsError as error:
        queued, trouble = 0, error.message
    page = polled(
        "admin/work.html",
        work=work(services().tool),
        queued=queued,
        trouble=trouble,
        is_operator=signed_in_admin().is_operator,
    )
    return unless_seen(page)


@admin.get("/keys")
def keys() -> str:
    """The signing keys: one of each kind signs, older ones stay published."""
    known = services().installation.keys
    signing = {known.signing_key().kid, known.issuer_rsa().kid, known.issuer_ed25519().kid}
    found = [*known.lti_keys(), *known.issuer_keys(fresh=True)]
    return render_template(
        "admin/keys.html",
        keys=sorted(found, key=lambda key: key.made_at, reverse=True),
        signing=signing,
        labels=LABELS,
        lti=LTI,
        is_operator=signed_in_admin().is_operator,
    )


@admin.post("/keys/rotate")
def rotate() -> str:
    """Make new ones."""
    require_operator("make new keys")
    rotate_keys(services().installation, by=by())
    return keys()
