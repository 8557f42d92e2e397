"""What is taken from pylti1p3, in one place: its message validators and its content items.

Its login, session, key-set and service code is not used: what it leaves open (nonces that are never
consumed, claims that need not be there, lower-cased page addresses …) is closed by not going there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pylti1p3.deep_link_resource import DeepLinkResource
from pylti1p3.exception import LtiException
from pylti1p3.lineitem import LineItem
from pylti1p3.message_validators import get_validators

from lti_badges.core.errors import LaunchError


def validate_message(claims: Mapping[str, Any]) -> None:
    """The claims that each message type demands (LTI 1.3 core §5, deep linking 2.0 §4.4).

    Raises LaunchError for a message without its claims, or of a type pylti1p3 does not know.
    """
    try:
        known = get_validators()  # type: ignore[no-untyped-call]
        validators = [each for each in known if each.can_validate(claims)]
        if len(validators) != 1:
            raise LaunchError(
                "The LMS sent a message that this tool does not take.", code="message_type"
            )
        validators[0].validate(claims)
    except LtiException as error:
        raise LaunchError(
            f"The LMS sent an incomplete launch: {error}.", code="incomplete_message"
        ) from None
    except (AttributeError, TypeError):
        # It looks into claims without asking whether they are objects.
        raise LaunchError(
            "The LMS sent a launch whose claims can't be read.", code="unreadable_claims"
        ) from None


def resource_link_item(
    *,
    title: str,
    url: str,
    custom: Mapping[str, str],
    icon_url: str | None,
    score_maximum: float | None,
    resource_id: str | None,
    tag: str | None,
) -> dict[str, Any]:
    """A content item of type ltiResourceLink (deep linking 2.0 §4.3.1)."""
    item = DeepLinkResource().set_title(title).set_url(url).set_custom_params(dict(custom))
    if icon_url:
        item.set_icon_url(icon_url)
    if score_maximum is not None:
        column = LineItem().set_score_maximum(score_maximum).set_label(title)
        if resource_id:
            column.set_resource_id(resource_id)
        if tag:
            column.set_tag(tag)
        item.set_lineitem(column)
    return item.to_dict()
