"""What an institution looks like on its pages: its name, its logo, one accent colour."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import select

from lti_badges.context import ToolContext
from lti_badges.core.errors import InvalidInput, NotFound
from lti_badges.ledger.audit import record
from lti_badges.openbadges.errors import CredentialError
from lti_badges.openbadges.picture import checked_image
from lti_badges.store import Institution
from lti_badges.store.institutions import LOGO, shown_name
from lti_badges.values.colour import accents
from lti_badges.values.permission import Permission

COLOUR = "colour"


@dataclass(frozen=True, slots=True)
class Brand:
    """How pages show whose they are. `logo` names exactly its bytes; `name` is empty while nobody
    has named the only institution."""

    institution_id: str
    name: str
    logo: str | None
    colour: str | None


def brand_of(tool: ToolContext, institution_id: str) -> Brand:
    """Of an institution that the tool sees; a plain one for any other."""
    with tool.sessions() as session:
        row = session.get(Institution, institution_id)
    if row is None:
        return Brand(institution_id, "", None, None)
    name = shown_name(row.name, row.profile)
    return Brand(row.id, name, row.branding.get(LOGO), row.branding.get(COLOUR))


def style_of(tool: ToolContext, institution_id: str) -> str:
    """Its style sheet. Raises NotFound where there is none."""
    colour = brand_of(tool, institution_id).colour
    if colour is None:
        raise NotFound("This institution has no colour of its own.")
    return accents(colour).style


def logo_of(tool: ToolContext, institution_id: str) -> tuple[bytes, str, str]:
    """(bytes, media type, tag) of the logo. Raises NotFound where there is none."""
    columns = (Institution.logo, Institution.logo_type, Institution.branding)
    with tool.sessions() as session:
        row = session.execute(select(*columns).where(Institution.id == institution_id)).first()
    if row is None or row.logo is None:
        raise NotFound("This institution has no logo.")
    return row.logo, row.logo_type or "", str(row.branding.get(LOGO, ""))


def save_colour(tool: ToolContext, colour: str, *, by: str) -> None:
    """The accent colour of the institution's pages; none for an empty one. Raises InvalidInput."""
    tool.require(Permission.MANAGE_INSTITUTION)
    chosen = accents(colour).light.colour if colour.strip() else None
    with tool.sessions.begin() as session:
        row = session.get_one(Institution, tool.institution_id)
        if chosen != row.branding.get(COLOUR):
            others = {key: value for key, value in row.branding.items() if key != COLOUR}
            row.branding = others | ({COLOUR: chosen} if chosen else {})
            record(session, "branding_saved", actor=by, colour=chosen or "none")


def save_logo(tool: ToolContext, content: bytes | None, *, by: str) -> None:
    """A PNG, SVG or JPEG as the institution's logo; None takes it away. Raises InvalidInput."""
    tool.require(Permission.MANAGE_INSTITUTION)
    kind = None
    if content is not None:
        try:
            kind, content = checked_image(content)
        except CredentialError as error:
            raise InvalidInput(str(error), field="logo") from error
    with tool.sessions.begin() as session:
        row = session.get_one(Institution, tool.institution_id)
        row.logo, row.logo_type = content, kind
        tag = {LOGO: hashlib.sha256(content).hexdigest()[:16]} if content else {}
        row.branding = {key: value for key, value in row.branding.items() if key != LOGO} | tag
        record(session, "branding_saved", actor=by, logo="changed" if content else "taken away")
