"""Pages and documents for anyone: credentials that verify, achievements, issuers, status lists."""

from __future__ import annotations

from typing import Any, TypeVar

from flask import Blueprint, Response, abort, jsonify, render_template, request
from sqlalchemy import select
from werkzeug.wrappers import Response as AnyResponse

from lti_badges.catalogue.achievements import PNG, SVG, picture_of
from lti_badges.catalogue.issuance import achievement_of
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import NotFound
from lti_badges.openbadges import ob2
from lti_badges.openbadges.bake import bake_png, bake_svg
from lti_badges.openbadges.verify import Verification, matches_recipient, verify_document
from lti_badges.store import Achievement, Award, BackendRow, Course, IssuedCredential, State
from lti_badges.web.public import documents
from lti_badges.web.services import services

public = Blueprint("public", __name__, template_folder="templates")

JWT_TYPE = "application/vc+jwt"
VC_TYPE = "application/vc+ld+json"
LD_TYPE = "application/ld+json"
JSON_TYPE = "application/json"
TYPES = ["text/html", JWT_TYPE, "application/vc", VC_TYPE, LD_TYPE, JSON_TYPE]
ONE_MINUTE = "public, max-age=60"
T = TypeVar("T")


@public.get("/")
def home() -> str:
    """What this is, for whoever comes to the bare address."""
    return render_template("public/home.html", base=services().installation.settings.base_url)


@public.get("/credentials/<uuid:award>")
def credential(award: Any) -> AnyResponse:
    """A credential: a page for people, or the form that the Accept header asks for."""
    kind = request.accept_mimetypes.best_match(TYPES, "text/html")
    if kind == "text/html":
        return _credential_page(str(award))
    row = _issued(str(award))
    if kind == JWT_TYPE:
        return _answer(row.jwt, JWT_TYPE)
    return _document(row.document, LD_TYPE if kind == "application/vc" else str(kind))


@public.post("/credentials/<uuid:award>")
def check_recipient(award: Any) -> AnyResponse:
    """Was it issued to this e-mail address? Asked by POST: addresses stay out of logs."""
    return _credential_page(str(award), request.form.get("email", "")[:320])


@public.get("/credentials/<uuid:award>.<any(json, jwt, png, svg):form>")
def credential_file(award: Any, form: str) -> AnyResponse:
    """A credential as a file."""
    row = _issued(str(award))
    if form == "json":
        return _document(row.document, VC_TYPE)
    if form == "jwt":
        return _answer(row.jwt, JWT_TYPE)
    return _baked(row, form)


@public.get("/credentials/<uuid:award>/ob2.json")
def credential_ob2(award: Any) -> AnyResponse:
    """The hosted Open Badges 2.0 assertion."""
    row = _issued(str(award))
    if row.revoked_at is not None:
        gone = ob2.build_revoked(
            services().installation.settings.url(f"/credentials/{award}"),
            row.revocation_reason or "",
        )
        response = _document(gone, LD_TYPE)
        response.status_code = 410  # OB 2.0: a revoked hosted assertion
        return response
    return _document(row.ob2, LD_TYPE)


@public.get("/achievements/<uuid:achievement>")
def achievement(achievement: Any) -> AnyResponse:
    """What can be earned."""
    row = _achievement(str(achievement))
    tool = services().installation
    if _wants_page():
        backend = _backend(row.backend_id)
        return Response(
            render_template(
                "public/achievement.html", badge=achievement_of(tool, row), backend=backend
            )
        )
    document = documents.achievement(tool, str(achievement))
    return _document(_found(document), _json_type())


@public.get("/achievements/<uuid:achievement>/ob2.json")
def achievement_ob2(achievement: Any) -> AnyResponse:
    """The Open Badges 2.0 BadgeClass."""
    row, tool = _achievement(str(achievement)), services().installation
    issuer = _found(documents.issuer_of_achievement(tool, row.id))
    document = issuer.achievement_document(achievement_of(tool, row))
    return _document(ob2.build_badge_class(document, issuer.profile), LD_TYPE)


@public.get("/achievements/<uuid:achievement_id>/image.<any(png, svg):extension>")
def achievement_image(achievement_id: Any, extension: str) -> AnyResponse:
    """A badge's picture."""
    wanted = SVG if extension == "svg" else PNG
    image, media_type = picture_of(services().installation, str(achievement_id), wanted)
    return _picture(image, media_type)


@public.get("/issuers/<uuid:issuer>")
def issuer(issuer: Any) -> AnyResponse:
    """The issuer's Profile and keys."""
    tool = services().installation
    found = _found(documents.issuer_of(tool, str(issuer)))
    if _wants_page():
        return Response(render_template("public/issuer.html", profile=found.profile))
    return _document(found.profile_document(), _json_type())


@public.get("/issuers/<uuid:issuer>/ob2.json")
def issuer_ob2(issuer: Any) -> AnyResponse:
    """The Open Badges 2.0 Issuer."""
    found = _found(documents.issuer_of(services().installation, str(issuer)))
    return _document(ob2.build_issuer(found.profile), LD_TYPE)


@public.get("/issuers/<uuid:issuer>/keys/<kid>")
def issuer_key(issuer: Any, kid: str) -> AnyResponse:
    """The public key of VC-JWT proofs, as JWK."""
    return _document(_found(documents.jwk(services().installation, str(issuer), kid)), JSON_TYPE)


@public.get("/status/<uuid:status_list>")
def status(status_list: Any) -> AnyResponse:
    """A signed BitstringStatusListCredential."""
    found = documents.status_list(services().installation, str(status_list))
    response = _document(_found(found), _json_type())
    response.headers["Cache-Control"] = ONE_MINUTE
    return response


@public.get("/favicon.ico")
def favicon() -> AnyResponse:
    """Browsers ask for it by themselves."""
    return Response(status=204)


def _credential_page(award_id: str, email: str | None = None) -> AnyResponse:
    tool = services().installation
    with tool.sessions() as session:
        award = session.get(Award, award_id)
        if award is None:
            raise NotFound("There is no such credential. Check that you copied the whole address.")
        row = session.get(IssuedCredential, award_id)
        achievement = session.get_one(Achievement, award.achievement_id)
        course = session.get_one(Course, award.course_id)
        newer = session.scalar(
            select(Award.id).where(
                Award.achievement_id == award.achievement_id,
                Award.member_id == award.member_id,
                Award.number > award.number,
                Award.state == State.ISSUED.value,
            )
        )
    page = render_template(
        "public/credential.html",
        award=award,
        badge=achievement_of(tool, achievement),
        course=course.title or course.label,
        backend=_backend(award.backend_id),
        credential=row,
        issuer=documents.issuer_of(tool, award.backend_id),
        verification=_verification(tool, row),
        matches=matches_recipient(row.document, email) if row and email else None,
        asked=email,
        newer=newer if award.revoked_at is None else None,
        is_out=award.state in {State.ISSUED, State.REVOKING, State.REVOKED},
    )
    response = Response(page)
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Vary"] = "Accept"
    return response


def _verification(tool: ToolContext, row: IssuedCredential | None) -> Verification | None:
    """From the stored bytes, by the same checks that anyone else would make."""
    if row is None:
        return None
    return verify_document(row.document, lambda url: documents.resolve(tool, url), clock.now())


def _baked(row: IssuedCredential, form: str) -> AnyResponse:
    tool = services().installation
    image, media_type = picture_of(tool, row.achievement_id, SVG if form == "svg" else PNG)
    if form == "svg":
        if media_type != SVG:
            raise NotFound("This badge's picture is a PNG; take the .png.")
        return _picture(bake_svg(image.decode(), row.jwt).encode(), SVG)
    url = tool.settings.url(f"/credentials/{row.award_id}")
    return _picture(bake_png(image, row.jwt, ob2.hosted(url)), PNG)


def _issued(award_id: str) -> IssuedCredential:
    with services().installation.sessions() as session:
        row = session.get(IssuedCredential, award_id)
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


def _wants_page() -> bool:
    return request.accept_mimetypes.best_match(TYPES, "text/html") == "text/html"


def _json_type() -> str:
    kinds = [VC_TYPE, LD_TYPE, JSON_TYPE]
    return str(request.accept_mimetypes.best_match(kinds, VC_TYPE))


def _document(document: dict[str, Any], media_type: str) -> Response:
    response = jsonify(document)
    response.mimetype = media_type
    return _open(response)


def _answer(text: str, media_type: str) -> Response:
    return _open(Response(text, mimetype=media_type))


def _picture(image: bytes, media_type: str) -> Response:
    response = _open(Response(image, mimetype=media_type))
    response.headers["Cache-Control"] = "public, max-age=300"
    # An SVG opened by itself must not be able to do anything.
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    return response


def _open(response: Response) -> Response:
    """Any site's verifier may read it."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Vary"] = "Accept"
    response.headers.setdefault("Cache-Control", "no-cache")
    return response
