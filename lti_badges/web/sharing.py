"""Addresses that hand a badge on to other sites."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode


def linkedin_address(
    name: str, issuer: str, issued: datetime, expires: datetime | None, url: str, credential_id: str
) -> str:
    """LinkedIn's add-to-profile form, filled in."""
    values = {
        "startTask": "CERTIFICATION_NAME",
        "name": name,
        "organizationName": issuer,
        "issueYear": str(issued.year),
        "issueMonth": str(issued.month),
        "certUrl": url,
        "certId": credential_id,
    }
    if expires:
        values |= {"expirationYear": str(expires.year), "expirationMonth": str(expires.month)}
    return f"https://www.linkedin.com/profile/add?{urlencode(values)}"
