"""The configuration document of a Canvas developer key.

Source: Canvas LMS documentation, "Configuring LTI Advantage tools".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from lti_badges.lti.registration import SCOPES


def developer_key(
    base_url: str, placements: Sequence[str], custom: Mapping[str, str]
) -> dict[str, Any]:
    """Course navigation, and badge pickers in these placements."""
    launch_url, icon = f"{base_url}/lti/launch", f"{base_url}/static/medal.svg"
    navigation = {
        "placement": "course_navigation",
        "message_type": "LtiResourceLinkRequest",
        "target_link_uri": launch_url,
        "text": "Badges",
        "enabled": True,
        "default": "disabled",
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
        for placement in placements
    ]
    return {
        "title": "Badges",
        "description": "Awards Open Badges for grades and completion.",
        "oidc_initiation_url": f"{base_url}/lti/login",
        "target_link_uri": launch_url,
        "public_jwk_url": f"{base_url}/lti/jwks.json",
        "scopes": list(SCOPES),
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
