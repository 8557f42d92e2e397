"""What the pages are handed: the tool, the queue and what accepting launches needs."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app, g

from lti_badges import lms
from lti_badges.catalogue.branding import Brand, brand_of
from lti_badges.context import ToolContext
from lti_badges.jobs import Queue
from lti_badges.lti.launches import LaunchServices
from lti_badges.store import WrongInstitution
from lti_badges.values.permission import Permission
from lti_badges.web.access import Access, AccessTokens, AdminTokens

EXTENSION = "lti_badges"


@dataclass(frozen=True, slots=True)
class Services:
    """The collaborators of one running application. `installation` sees all institutions: only what
    serves anybody asks for it, by that name."""

    installation: ToolContext
    queue: Queue
    launches: LaunchServices
    access: AccessTokens
    admin: AdminTokens

    @classmethod
    def of(cls, queue: Queue) -> Services:
        """From a queue and its tool."""
        tool = queue.tool
        launches = LaunchServices(
            sessions=tool.sessions,
            cipher=tool.cipher,
            key_sets=tool.key_sets,
            base_url=tool.settings.base_url,
            audience_hint=lambda platform: lms.LMSES.get(platform.lms, lms.LMS).audience_hint,
            told_besides=lambda platform, claims: lms.of(platform.lms).told_besides(claims),
        )
        return cls(tool, queue, launches, AccessTokens(tool.cipher), AdminTokens(tool.cipher))

    @property
    def tool(self) -> ToolContext:
        """The tool of the institution that this request is for; see `enter_institution`."""
        bound: ToolContext | None = g.get("institution_tool")
        if bound is None:
            raise WrongInstitution("This request has not been bound to an institution.")
        return bound

    def attach(self, app: Flask) -> None:
        """Make them known to the application's pages."""
        app.extensions[EXTENSION] = self


def enter_institution(institution_id: str) -> ToolContext:
    """From now on this request works for one institution, as its token, launch or session says."""
    g.institution_tool = services().installation.within(institution_id)
    tool: ToolContext = g.institution_tool
    return tool


def act_as(access: Access) -> ToolContext:
    """From now on this request may do what the holder of a page token may."""
    g.institution_tool = services().tool.acting(access.may_do)
    tool: ToolContext = g.institution_tool
    return tool


def may(permission: str) -> bool:
    """Whether whoever asks may do that; pages hide the rest."""
    return services().tool.may(Permission(permission))


def house() -> Brand:
    """How the page shows whose it is: the institution that this request is for."""
    tool = services().tool
    return brand_of(tool, tool.institution_id or "")


def services() -> Services:
    """Those of the application that serves this request."""
    found: Services = current_app.extensions[EXTENSION]
    return found
