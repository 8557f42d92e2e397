"""Pages and documents for anyone: credentials that verify, achievements, issuers, status lists."""

from __future__ import annotations

from typing import Any, TypeVar

from flask import Blueprint, Response, abort, g, render_template, request
from sqlalchemy import select
from sqlalchemy.orm import aliased
from werkzeug.wrappers import Response as AnyResponse

from lti_badges.catalogue.branding import brand_of
from lti_badges.catalogue.issuance import achievement_of
from lti_badges.catalogue.pictures import PNG, SVG, picture_of
from lti_badges.core.errors import NotFound
from lti_badges.openbadges import ob2
from lti_badges.openbadges.bake import bake_png, bake_svg
from lti_badges.openbadges.verify import matches_recipient
from lti_badges.queries import documents
from lti_badges.store import Achievement, Award, BackendRow, Course, IssuedCredential, State
from lti_badges.values.award import HIDDEN, PUBLIC
from lti_badges.web.public.answers import document_answer, picture_answer, text_answer
from lti_badges.web.public.negotiation import (
    CREDENTIAL_TYPES,
    DOCUMENT_TYPES,
    HTML_TYPE,
    JSON_TYPE,
    JWT_TYPE,
    LD_TYPE,
    VC_TYPE,
    allow_any_site,
    chosen_type,
    takes,
)
from lti_badges.web.public.verdicts import verdict
from lti_badges.web.services import services
from lti_badges.web.sharing import linkedin_address

public = Blueprint("public", __name__, template_folder="templates")
public.after_app_request(allow_any_site)

FORMS = (*CREDENTIAL_TYPES, JWT_TYPE, HTML_TYPE)
PAGE_OR_DOCUMENT = (*DOCUMENT_TYPES, HTML_TYPE)
ONE_MINUTE = "public, max-age=60"
T = TypeVar("T")


@public.get("/")
def home() -> str:
    """What this is, for whoever comes to the bare address."""
    return render_template("public/home.html", base=services().installation.settings.base_url)


@public.get("/credentials/<uuid:award>")
def credential(award: Any) -> AnyResponse:
    """A credential: a page for people, or the form that the Accept header asks for."""
    kind = chosen_type(FORMS)
    row = None if kind == HTML_TYPE else _signed(str(award))
    # What was not signed here has a page and no other form.
    if kind == HTML_TYPE or (row is None and takes(HTML_TYPE)):
        return _credential_page(str(award))
    row = row or _issued(str(award))
    if kind == JWT_TYPE:
        return text_answer(row.jwt, JWT_TYPE, row.issued_at)
    return document_answer(row.document, kind, row.issued_at)


@public.post("/credentials/<uuid:award>")
def check_recipient(award: Any) -> AnyResponse:
    """Was it issued to this e-mail address? Asked by POST: addresses stay out of logs."""
    return _credential_page(str(award), request.form.get("email", "")[:320])


@public.get("/credentials/<uuid:award>.<any(json, jwt, png, svg):form>")
def credential_file(award: Any, form: str) -> AnyResponse:
    """A credential as a file."""
    row = _issued(str(award))
    if form == "json":
        return document_answer(row.document, VC_TYPE, row.issued_at)
    if form == "jwt":
        return text_answer(row.jwt, JWT_TYPE, row.issued_at)
    return _baked(row, form)


@public.get("/credentials/<uuid:award>/ob2.json")
def credential_ob2(award: Any) -> AnyResponse:
    """The hosted Open Badges 2.0 assertion."""
    tool, row = services().installation, _issued(str(award))
    document = _found(documents.assertion(tool, str(award)))
    if row.revoked_at is not None:
        response = document_answer(document, LD_TYPE)
        response.status_code = 410  # OB 2.0: a revoked hosted assertion
        return response
    return document_answer(document, LD_TYPE, row.issued_at)


@public.get("/achievements/<uuid:achievement>")
def achievement(achievement: Any) -> AnyResponse:
    """What can be earned."""
    row = _achievement(str(achievement))
    tool = services().installation
    kind = chosen_type(PAGE_OR_DOCUMENT)
    if kind == HTML_TYPE:
        return Response(
            render_template(
                "public/achievement.html",
                badge=achievement_of(tool, row),
                issuer=documents.issuer_of_achievement(tool, row.id),
                brand=brand_of(tool, _backend(row.backend_id).institution_id),
            )
        )
    document = documents.achievement(tool, str(achievement))
    return document_answer(_found(document), kind, row.updated_at)


@public.get("/achievements/<uuid:achievement>/ob2.json")
def achievement_ob2(achievement: Any) -> AnyResponse:
    """The Open Badges 2.0 BadgeClass."""
    row = _achievement(str(achievement))
    return document_answer(_found(documents.badge_class(services().installation, row.id)), LD_TYPE)


@public.get("/achievements/<uuid:achievement_id>/image.<any(png, svg):extension>")
def achievement_image(achievement_id: Any, extension: str) -> AnyResponse:
    """A badge's picture."""
    wanted = SVG if extension == "svg" else PNG
    picture = picture_of(services().installation, str(achievement_id), wanted)
    return picture_answer(picture.content, picture.media_type, picture.tag)


@public.get("/issuers/<uuid:issuer>")
def issuer(issuer: Any) -> AnyResponse:
    """The issuer's Profile and keys."""
    tool = services().installation
    found = _found(documents.issuer_of(tool, str(issuer)))
    kind = chosen_type(PAGE_OR_DOCUMENT)
    if kind == HTML_TYPE:
        page = render_template(
            "public/issuer.html",
            profile=found.profile,
            keys=found.public_keys(),
            brand=brand_of(tool, found.config.institution_id),
        )
        return Response(page)
    return document_answer(found.profile_document(), kind)


@public.get("/issuers/<uuid:issuer>/ob2.json")
def issuer_ob2(issuer: Any) -> AnyResponse:
    """The Open Badges 2.0 Issuer."""
    return document_answer(
        _found(documents.ob2_profile(services().installation, str(issuer))), LD_TYPE
    )


@public.get("/issuers/<uuid:issuer>/keys/<kid>")
def issuer_key(issuer: Any, kid: str) -> AnyResponse:
    """The public key of VC-JWT proofs, as JWK."""
    return document_answer(
        _found(documents.jwk(services().installation, str(issuer), kid)), JSON_TYPE
    )


@public.get("/status/<uuid:status_list>")
def status(status_list: Any) -> AnyResponse:
    """A signed BitstringStatusListCredential."""
    found = documents.status_list(services().installation, str(status_list))
    response = document_answer(_found(found), chosen_type((*CREDENTIAL_TYPES, JSON_TYPE)))
    response.headers["Cache-Control"] = ONE_MINUTE
    return response


@public.get("/favicon.ico")
def favicon() -> AnyResponse:
    """Browsers ask for it by themselves."""
    return Response(status=204)


def _credential_page(award_id: str, email: str | None = None) -> AnyResponse:
    tool = services().installation
    newer = aliased(Award)
    renewed = (
        select(newer.id)
        .where(
            newer.achievement_id == Award.achievement_id,
            newer.member_id == Award.member_id,
            newer.number > Award.number,
            newer.state == State.ISSUED.value,
        )
        .order_by(newer.number)
        .limit(1)
        .scalar_subquery()
    )
    with tool.sessions() as session:
        found = session.execute(
            select(Award, Achievement, BackendRow, IssuedCredential, Course.title, Course.label)
            .add_columns(renewed)
            .join(Achievement, Achievement.id == Award.achievement_id)
            .join(BackendRow, BackendRow.id == Award.backend_id)
            .join(Course, Course.id == Award.course_id)
            .outerjoin(IssuedCredential, IssuedCredential.award_id == Award.id)
            .where(Award.id == award_id)
        ).first()
    if found is None or found[0].visibility == HIDDEN:
        raise NotFound("There is no such credential. Check that you copied the whole address.")
    award, achievement, backend, row, title, label, newer_id = found
    page = render_template(
        "public/credential.html",
        award=award,
        badge=achievement_of(tool, achievement),
        course=title or label,
        backend=backend,
        credential=row,
        issuer=documents.signer_of(tool, backend, signed=row is not None),
        brand=brand_of(tool, backend.institution_id),
        verification=verdict(tool, row, backend) if row else None,
        matches=matches_recipient(row.document, email) if row and email else None,
        asked=email,
        shown_name=award.recipient.get("name") if award.shows_name else None,
        is_findable=award.visibility == PUBLIC,
        linkedin=_linkedin(award, achievement.name, row) if row else None,
        badge_is_svg=achievement.image_type != PNG,
        newer=newer_id if award.revoked_at is None else None,
        is_out=award.state in {State.ISSUED, State.REVOKING, State.REVOKED},
    )
    response = Response(page)
    response.headers["Cache-Control"] = "no-cache"
    g.is_findable = award.visibility == PUBLIC
    return response


def _linkedin(award: Award, name: str, row: IssuedCredential) -> str | None:
    """LinkedIn's form, while the credential stands."""
    if row.revoked_at is not None or not row.document:
        return None
    url = services().installation.settings.url(f"/credentials/{award.id}")
    issuer = row.document["issuer"]["name"]
    return linkedin_address(name, issuer, row.issued_at, award.expires_at, url, award.id)


def _baked(row: IssuedCredential, form: str) -> AnyResponse:
    tool = services().installation
    picture = picture_of(tool, row.achievement_id, SVG if form == "svg" else PNG)
    tag = f"{row.award_id}-{picture.tag}"
    if form == "svg":
        if picture.media_type != SVG:
            raise NotFound("This badge's picture is a PNG; take the .png.")
        return picture_answer(bake_svg(picture.content.decode(), row.jwt).encode(), SVG, tag)
    url = tool.settings.url(f"/credentials/{row.award_id}")
    return picture_answer(bake_png(picture.content, row.jwt, ob2.hosted(url)), PNG, tag)


def _signed(award_id: str) -> IssuedCredential | None:
    with services().installation.sessions() as session:
        row = session.get(IssuedCredential, award_id)
    return row if row is not None and row.document else None  # empty: its learner was erased


def _issued(award_id: str) -> IssuedCredential:
    row = _signed(award_id)
    if row is None:
        raise NotFound("There is no such credential here, or it has not been issued yet.")
    return row


def _achievement(achievement_id: str) -> Achievement:
    with services().installation.sessions() as session:
        row = session.get(Achievement, achievement_id)
    if row is None:
        raise NotFound("There is no such badge.")
    return row


def _backend(backend_id: str) -> BackendRow:
    with services().installation.sessions() as session:
        return session.get_one(BackendRow, backend_id)


def _found(value: T | None) -> T:
    if value is None:
        abort(404)
    return value
