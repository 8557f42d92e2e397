"""The launch as our own value, parsed once at the border (LTI 1.3 core §5, deep linking 2.0 §4.4).

Everything is taken defensively: platforms send empty strings for absent values, numbers for custom
strings, `[""]` for roles, and objects with keys nobody asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any

from lti_badges.core import text
from lti_badges.core.errors import LaunchError
from lti_badges.core.links import same_origin, web_address
from lti_badges.lti.pylti import validate_message
from lti_badges.values.course import Member, Role, role_of

CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
DL = "https://purl.imsglobal.org/spec/lti-dl/claim/"
AGS = "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint"
NOTICES = "https://purl.imsglobal.org/spec/lti/claim/platformnotificationservice"
NRPS = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"
MAX_LOCALE = 40
MAX_SCOPES = 100


class MessageType(StrEnum):
    """The messages that this tool takes. The end of an assessment asks nothing of it."""

    RESOURCE_LINK = "LtiResourceLinkRequest"
    DEEP_LINKING = "LtiDeepLinkingRequest"
    SUBMISSION_REVIEW = "LtiSubmissionReviewRequest"
    DATA_PRIVACY = "DataPrivacyLaunchRequest"
    END_ASSESSMENT = "LtiEndAssessment"


@dataclass(frozen=True, slots=True)
class Context:
    """The course of a launch."""

    id: str
    label: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """The resource link that was opened; `line_item_url` when it is coupled to a column."""

    id: str
    title: str = ""
    line_item_url: str | None = None


@dataclass(frozen=True, slots=True)
class DeepLinkingSettings:
    """What the platform's content picker accepts. `data` is handed back exactly, None if absent."""

    return_url: str
    accept_types: frozenset[str]
    accept_multiple: bool
    accept_lineitem: bool
    document_targets: frozenset[str]
    data: str | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """A launch that was signed by its platform, checked, and answers our own login."""

    message: MessageType
    deployment_id: str
    sub: str
    roles: frozenset[str]
    target_link_uri: str
    name: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    email: str | None = None
    sourcedid: str | None = None
    context: Context | None = None
    link: Link | None = None
    custom: Mapping[str, str] = field(default_factory=dict, hash=False)
    line_items_url: str | None = None
    scopes: frozenset[str] = frozenset()
    memberships_url: str | None = None
    deep_linking: DeepLinkingSettings | None = None
    for_user: str | None = None
    return_url: str | None = None
    document_target: str | None = None
    locale: str | None = None
    observed: tuple[str, ...] = ()
    platform_guid: str | None = None
    notices_url: str | None = None

    @property
    def is_masked(self) -> bool:
        """Somebody else acts as this person: they may see, and change nothing."""
        return bool(self.custom.get("masquerading_user"))

    @property
    def role(self) -> Role:
        """By course membership roles only: a student here who teaches elsewhere is a student."""
        return role_of(self.roles)

    @property
    def member(self) -> Member:
        """The person as a member of the course."""
        return Member(
            sub=self.sub,
            roles=self.roles,
            name=self.name,
            email=self.email,
            given_name=self.given_name,
            family_name=self.family_name,
            sourcedid=self.sourcedid,
            custom=dict(self.custom),
        )


def parse_launch(claims: Mapping[str, Any], base_url: str) -> Launch:
    """The claims of a verified id_token as a Launch. Raises LaunchError with what is missing.

    `target_link_uri` must be on our own host: nothing is ever redirected to a foreign one.
    """
    if _is_blank(claims.get("sub")):
        raise LaunchError(
            "The LMS did not say who you are. Log in to the LMS and open this link again; "
            "anonymous visitors can't earn badges.",
            code="anonymous",
        )
    _check_version(claims)
    if claims[f"{CLAIM}message_type"] != MessageType.END_ASSESSMENT:
        validate_message(claims)
    roles = claims.get(f"{CLAIM}roles")
    if not isinstance(roles, list):
        raise LaunchError("The LMS sent roles that can't be read.", code="roles")
    message = MessageType(str(claims[f"{CLAIM}message_type"]))
    presentation = _object(claims, f"{CLAIM}launch_presentation")
    ags, nrps = _object(claims, AGS), _object(claims, NRPS)
    notices = _object(claims, NOTICES)
    return Launch(
        message=message,
        deployment_id=_required(claims, "deployment_id"),
        sub=_bounded(claims["sub"], "sub"),
        roles=frozenset(role for role in _texts(roles) if role),
        target_link_uri=_own_target(claims, base_url, message),
        name=_name(claims),
        given_name=_text(claims.get("given_name")),
        family_name=_text(claims.get("family_name")),
        email=text.email(claims.get("email")),
        sourcedid=text.optional_identifier(_object(claims, f"{CLAIM}lis").get("person_sourcedid")),
        context=_context(claims),
        link=_link(claims, ags),
        custom=text.custom_parameters(claims.get(f"{CLAIM}custom")),
        line_items_url=web_address(ags.get("lineitems")),
        scopes=frozenset(_texts(ags.get("scope"))),
        memberships_url=web_address(nrps.get("context_memberships_url")),
        deep_linking=_deep_linking(claims) if message is MessageType.DEEP_LINKING else None,
        for_user=text.optional_identifier(_object(claims, f"{CLAIM}for_user").get("user_id")),
        return_url=web_address(presentation.get("return_url")),
        document_target=text.line(presentation.get("document_target"), MAX_LOCALE),
        locale=text.line(presentation.get("locale"), MAX_LOCALE),
        observed=tuple(_texts(claims.get(f"{CLAIM}role_scope_mentor"))),
        platform_guid=text.optional_identifier(
            _object(claims, f"{CLAIM}tool_platform").get("guid")
        ),
        notices_url=web_address(notices.get("platform_notification_service_url")),
    )


def _check_version(claims: Mapping[str, Any]) -> None:
    if claims.get(f"{CLAIM}version") != "1.3.0":
        raise LaunchError(
            "The LMS must launch this tool by LTI 1.3; register it as an LTI 1.3 tool.",
            code="version",
        )
    known = {message.value for message in MessageType}
    message = claims.get(f"{CLAIM}message_type")
    if not isinstance(message, str) or not message:
        raise LaunchError("The LMS did not say what this launch is for.", code="message_type")
    if message not in known:
        raise LaunchError(
            f"This tool does not take messages of the type “{message[:60]}”.", code="message_type"
        )


def _own_target(claims: Mapping[str, Any], base_url: str, message: MessageType) -> str:
    target = text.as_text(claims.get(f"{CLAIM}target_link_uri")).strip()
    if not target:
        if message is MessageType.DEEP_LINKING:  # optional there (deep linking 2.0 §4.4.1)
            return f"{base_url}/lti/launch"
        raise LaunchError(
            "The LMS did not name the link that was opened (target_link_uri).",
            code="target_link_uri",
        )
    if not is_own(target, base_url):
        raise LaunchError(
            "The LMS opened a link of another site with this tool; its link address must begin "
            f"with {base_url}.",
            code="foreign_target",
        )
    return target


def is_own(url: str, base_url: str) -> bool:
    """Whether an address is one of this tool's: same scheme, host and port."""
    return web_address(url) is not None and same_origin(url, base_url)


def _required(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(f"{CLAIM}{name}")
    if _is_blank(value):
        raise LaunchError(f"The LMS sent a launch without its {name}.", code=name)
    return _bounded(value, name)


def _bounded(value: Any, name: str) -> str:
    try:
        return text.identifier(value)
    except text.OddText as error:
        raise LaunchError(
            f"The LMS sent a {name} that can't be used: {error}.", code=name
        ) from None


def _context(claims: Mapping[str, Any]) -> Context | None:
    context = _object(claims, f"{CLAIM}context")
    if _is_blank(context.get("id")):
        return None
    return Context(
        _bounded(context["id"], "context"),
        text.line(context.get("label"), text.MAX_ID) or "",
        _text(context.get("title")) or "",
    )


def _link(claims: Mapping[str, Any], ags: Mapping[str, Any]) -> Link | None:
    link = _object(claims, f"{CLAIM}resource_link")
    if _is_blank(link.get("id")):
        return None
    return Link(
        _bounded(link["id"], "resource_link"),
        _text(link.get("title")) or "",
        web_address(ags.get("lineitem")),
    )


def _deep_linking(claims: Mapping[str, Any]) -> DeepLinkingSettings:
    settings = _object(claims, f"{DL}deep_linking_settings")
    return_url = web_address(settings.get("deep_link_return_url"))
    if return_url is None:
        raise LaunchError(
            "The LMS did not say where to send the chosen badge (deep_link_return_url).",
            code="deep_link_return_url",
        )
    data = settings.get("data")
    return DeepLinkingSettings(
        return_url=return_url,
        accept_types=frozenset(_texts(settings.get("accept_types"))),
        accept_multiple=settings.get("accept_multiple") is not False,
        accept_lineitem=settings.get("accept_lineitem") is not False,
        document_targets=frozenset(_texts(settings.get("accept_presentation_document_targets"))),
        data=data if isinstance(data, str) else None,
    )


def _name(claims: Mapping[str, Any]) -> str | None:
    parts = [_text(claims.get("given_name")), _text(claims.get("family_name"))]
    return _text(claims.get("name")) or " ".join(part for part in parts if part) or None


def _object(claims: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = claims.get(name)
    return value if isinstance(value, dict) else {}


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _texts(value: Any) -> Iterable[str]:
    """The usable texts of a list: no odd ones, and not without end."""
    if not isinstance(value, list):
        return []
    fit = (
        each
        for each in value
        if isinstance(each, str) and len(each) <= text.MAX_KEY and text.is_clean(each)
    )
    return list(islice(fit, MAX_SCOPES))


def _text(value: Any) -> str | None:
    return text.line(value, text.MAX_NAME)
