"""Events of the audit trail, states and lists in words for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from lti_badges.store import AuditEvent, State

_STATES = {
    State.PENDING: "waiting to be sent",
    State.SENDING: "being sent",
    State.ISSUED: "issued",
    State.REVOKING: "being revoked",
    State.REVOKED: "revoked",
    State.UNKNOWN: "outcome unknown, being looked up",
    State.NEEDS_CONSENT: "waiting for the learner's consent",
    State.NEEDS_RECIPIENT: "waiting for the learner's e-mail or id",
    State.REJECTED: "refused by the badge backend",
}


def state_label(state: str) -> str:
    """An award's state as a person would say it."""
    return _STATES[State(state)]


def told(event: AuditEvent) -> str:
    """An event in a sentence. Of a person who was erased, details are missing."""
    detail = event.detail
    if event.kind == "award_state":
        why = f": {detail['why']}" if detail.get("why") else ""
        return f"The award is {state_label(str(detail['now']))}{why}"
    if event.kind == "granted":
        why = f": {detail['judgement']}" if detail.get("judgement") else ""
        return f"Granted by version {detail.get('rule_version')} of the rule{why}"
    if event.kind == "granted_by_hand":
        return f"Awarded by hand: {detail.get('reason') or 'the reason was erased'}"
    if event.kind == "fallen":
        by_edit = detail.get("cause") == "rule"
        what = "The rule was changed, and is no longer met" if by_edit else "No longer met"
        return f"{what}: {detail.get('judgement')}"
    if event.kind == "flagged":
        return "Flagged for the instructor's review"
    if event.kind == "flag_kept":
        return "The instructor let the badge stand"
    if event.kind == "pass_back":
        done = "taken back" if detail.get("outcome") == "withdrawn" else "written"
        return f"Score for the gradebook: {detail.get('error') or done}"
    return event.kind.replace("_", " ").capitalize()


def csv_line(cells: Sequence[str | None]) -> str:
    """One line for a spreadsheet."""
    out = io.StringIO()
    csv.writer(out).writerow([_plain(cell or "") for cell in cells])
    return out.getvalue()


def _plain(cell: str) -> str:
    """A cell that begins like a formula is text all the same."""
    return f"'{cell}" if cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell
