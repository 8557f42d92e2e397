"""The audit log."""

from __future__ import annotations

from flask import Response, render_template, request, stream_with_context

from lti_badges.context import ToolContext
from lti_badges.queries.audit_log import AuditFilter, audit_csv, audit_log
from lti_badges.web.admin.blueprint import (
    admin,
    asked_for,
    require_operator,
    signed_in_admin,
)
from lti_badges.web.services import services

NAMES = ("search", "actor", "since", "until", "all")


@admin.get("/audit")
def audit() -> str:
    """A page of it; the list alone while somebody filters."""
    found = audit_log(_tool(), AuditFilter.read(request.args), request.args.get("at", ""))
    asked = {name: request.args.get(name, "")[:200] for name in NAMES}
    template = "admin/_audit.html" if asked_for("list") else "admin/audit.html"
    is_operator = signed_in_admin().is_operator
    return render_template(template, log=found, asked=asked, is_operator=is_operator)


@admin.post("/audit.csv")
def audit_file() -> Response:
    """All that the filter lets through, for a spreadsheet, streamed."""
    lines = audit_csv(_tool(), AuditFilter.read(request.form))
    return Response(
        stream_with_context(lines),
        mimetype="text/csv",
        headers={"Content-Disposition": 'attachment; filename="audit-log.csv"'},
    )


def _tool() -> ToolContext:
    """An operator may look at the whole installation, what belongs to no institution included."""
    if not request.values.get("all"):
        return services().tool
    require_operator("see the log of the whole installation")
    return services().installation
