"""The content picker: an instructor chooses badges, and the LMS places them as links."""

from __future__ import annotations

from flask import Blueprint, Response, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from lti_badges.backends import AchievementDraft
from lti_badges.catalogue.achievements import (
    achievements_for,
    backend_of_course,
    create_achievement,
)
from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput, NotAllowed
from lti_badges.courses.launch_intake import (
    ACHIEVEMENT_PARAMETER,
    SIGNATURE_PARAMETER,
    LaunchedMember,
    signature,
)
from lti_badges.lti.ags import OWN_TAG
from lti_badges.lti.claims import DeepLinkingSettings
from lti_badges.lti.deep_linking import Chosen, answer
from lti_badges.lti.launches import Accepted
from lti_badges.store import Platform
from lti_badges.values.badge import AchievementRef
from lti_badges.values.course import Role
from lti_badges.web.access import Access
from lti_badges.web.entry import entered
from lti_badges.web.framing import allow_form_to
from lti_badges.web.services import services

COLUMN_MAXIMUM = 100.0

picker = Blueprint("picker", __name__, url_prefix="/picker", template_folder="templates")


def page(access: Access, arrival: LaunchedMember) -> str:
    """The whole page, as a deep-linking launch opens it."""
    return render_template(
        "picker/page.html",
        arrival=arrival,
        token=services().access.make(access),
        main=_choice(access),
    )


def refused(accepted: Accepted, message: str, code: str) -> AnyResponse:
    """Nothing is placed: the person reads why, and goes back with an answer that says it to the
    platform and its log, too (deep linking 2.0 §4.5)."""
    settings, platform = accepted.launch.deep_linking, accepted.platform
    assert settings is not None  # noqa: S101 - the parser made it for this message
    tool = services().tool
    token = answer(
        tool.keys,
        settings,
        [],
        issuer=platform.issuer,
        client_id=platform.client_id,
        deployment_id=accepted.launch.deployment_id,
        target_link_uri=tool.settings.url("/lti/launch"),
        error_message=message,
        error_log=f"Refused: {code}",
    )
    allow_form_to(settings.return_url)
    page = render_template(
        "picker/refused.html", message=message, url=settings.return_url, jwt=token
    )
    return Response(page, 403)


@picker.post("/achievements")
def create() -> str:
    """A new badge of this course, then the choice with it."""
    access, tool = _access(), services().tool
    upload = request.files.get("image")
    draft = AchievementDraft(
        name=request.form.get("name", ""),
        description=request.form.get("description", ""),
        criteria=request.form.get("criteria", "") or request.form.get("description", ""),
        image=upload.read() if upload and upload.filename else None,
    )
    with tool.sessions() as session:
        backend_id = backend_of_course(session, access.course_id).id
    made = create_achievement(tool, backend_id, draft, course_id=access.course_id)
    return _choice(access, {made, *request.form.getlist("achievement")})


@picker.post("/place")
def place() -> str:
    """The signed answer, in a form that posts itself to the LMS. No choice cancels."""
    access = _access()
    settings, deployment_id = _settings(access)
    chosen = [] if "cancel" in request.form else _chosen(access, settings)
    tool = services().tool
    with tool.sessions() as session:
        platform = session.get_one(Platform, access.platform_id)
    token = answer(
        tool.keys,
        settings,
        chosen,
        issuer=platform.issuer,
        client_id=platform.client_id,
        deployment_id=deployment_id,
        target_link_uri=tool.settings.url("/lti/launch"),
        message=None if chosen else "No badge was placed.",
        log=f"Badges placed: {len(chosen)}" if chosen else "No badge was chosen.",
    )
    allow_form_to(settings.return_url)
    return render_template("picker/return.html", url=settings.return_url, jwt=token)


def _chosen(access: Access, settings: DeepLinkingSettings) -> list[Chosen]:
    tool = services().tool
    known = {each.id: each for each in achievements_for(tool, access.course_id)}
    ids = list(dict.fromkeys(request.form.getlist("achievement")))
    if not ids:
        raise InvalidInput("Choose a badge first, or cancel.", field="achievement")
    if len(ids) > 1 and not settings.accept_multiple:
        raise InvalidInput("Your LMS takes one badge at a time here; choose one.")
    if unknown := [each for each in ids if each not in known]:
        raise InvalidInput(f"There is no badge {unknown[0][:40]} in this course.")
    return [_item(known[each]) for each in ids]


def _item(badge: AchievementRef) -> Chosen:
    tool = services().tool
    return Chosen(
        title=badge.name,
        text=badge.description,
        custom={
            ACHIEVEMENT_PARAMETER: badge.id,
            SIGNATURE_PARAMETER: signature(tool, tool.institution_id or "", badge.id),
        },
        icon_url=tool.settings.url(f"/achievements/{badge.id}/image.png"),
        score_maximum=COLUMN_MAXIMUM if request.form.get("column") == "on" else None,
        own_window=request.form.get("own_window") == "on",
        resource_id=badge.id,
        tag=f"{OWN_TAG}:link",
        available=_dates("open"),
        submission=_dates("submit"),
    )


def _dates(kind: str) -> dict[str, str]:
    """The dates between which the links are open, or take part in grading, each optional. Raises
    InvalidInput."""
    found = {}
    for name, claim in ((f"{kind}_from", "startDateTime"), (f"{kind}_until", "endDateTime")):
        text = request.form.get(name, "").strip()
        if not text:
            continue
        try:
            found[claim] = clock.iso(clock.parse_iso(text))
        except ValueError:
            raise InvalidInput("A date is written as 2026-05-03.", field=name) from None
    if len(found) == 2 and found["startDateTime"] >= found["endDateTime"]:
        raise InvalidInput("The first date must be before the second.", field=f"{kind}_until")
    return found


def _choice(access: Access, chosen: set[str] | frozenset[str] = frozenset()) -> str:
    settings, _ = _settings(access)
    return render_template(
        "picker/_choice.html",
        badges=achievements_for(services().tool, access.course_id),
        chosen=chosen,
        several=settings.accept_multiple,
        columns=settings.accept_lineitem,
        windows={"iframe", "window"} <= settings.document_targets,
    )


def _access() -> Access:
    access = entered()
    if access.role is not Role.INSTRUCTOR or access.deep_link is None or access.read_only:
        raise NotAllowed("Only instructors can place badges in a course.")
    return access


def _settings(access: Access) -> tuple[DeepLinkingSettings, str]:
    deep_link = access.deep_link or {}
    stored = dict(deep_link["settings"])
    for name in ("accept_types", "document_targets"):
        stored[name] = frozenset(stored[name])
    return DeepLinkingSettings(**stored), str(deep_link["deployment_id"])
