"""How the tool introduces itself to Canvas: its placements, by configuration or registration.

Source: Canvas LMS, doc/api/lti_dev_key_config.md, doc/api/registration.md,
doc/api/navigation_tools.md (course navigation takes no deep linking).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from lti_badges.lti.registration import NOTICE_SCOPE, SCOPES

EXTENSION = "https://canvas.instructure.com/lti"
PICKERS = (
    "link_selection",
    "assignment_selection",
    "submission_type_selection",
    "editor_button",
    "course_assignments_menu",
    "module_index_menu_modal",
    "module_menu_modal",
)
"""Where a badge can be chosen; each is a deep-linking request in a window of ours."""
ENABLED = "enabled"


def messages(launch_url: str, options: Mapping[str, str]) -> list[dict[str, Any]]:
    """For dynamic registration. `options`: {"navigation": "enabled"} shows the tool in all courses'
    navigation from the start."""
    return [
        {
            "type": "LtiResourceLinkRequest",
            "target_link_uri": launch_url,
            "label": "Badges",
            "placements": ["course_navigation"],
            "roles": [],
            f"{EXTENSION}/course_navigation/default_enabled": _shown(options),
            f"{EXTENSION}/visibility": "members",
        },
        {
            "type": "LtiDeepLinkingRequest",
            "target_link_uri": launch_url,
            "label": "Badge",
            "placements": list(PICKERS),
        },
    ]


def developer_key(
    base_url: str, custom: Mapping[str, str], options: Mapping[str, str]
) -> dict[str, Any]:
    """The document for “Enter URL”: course navigation, and badge pickers."""
    launch_url, icon = f"{base_url}/lti/launch", f"{base_url}/static/medal.svg"
    navigation = {
        "placement": "course_navigation",
        "message_type": "LtiResourceLinkRequest",
        "target_link_uri": launch_url,
        "text": "Badges",
        "enabled": True,
        "default": ENABLED if _shown(options) else "disabled",
        "visibility": "members",
    }
    pickers = [
        {
            "placement": placement,
            "message_type": "LtiDeepLinkingRequest",
            "target_link_uri": launch_url,
            "text": "Badge",
            "icon_url": icon,
            "selection_width": 900,
            "selection_height": 800,
        }
        for placement in PICKERS
    ]
    return {
        "title": "Badges",
        "description": "Awards Open Badges for grades and completion.",
        "oidc_initiation_url": f"{base_url}/lti/login",
        "target_link_uri": launch_url,
        "public_jwk_url": f"{base_url}/lti/jwks.json",
        "scopes": [*SCOPES, NOTICE_SCOPE],
        "extensions": [
            {
                "domain": urlsplit(base_url).netloc,
                "tool_id": "lti-badges",
                "platform": "canvas.instructure.com",
                "privacy_level": "public",
                "settings": {
                    "text": "Badges",
                    "icon_url": icon,
                    "placements": [navigation, *pickers],
                },
            }
        ],
        "custom_fields": dict(custom),
    }


def _shown(options: Mapping[str, str]) -> bool:
    return options.get("navigation") == ENABLED
