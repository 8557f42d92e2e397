"""What a learner lets others see of a badge: whether its page answers, and whether their name and
result stand on it. The credential is then signed anew under the same id."""

from __future__ import annotations

from sqlalchemy.orm import Session

from lti_badges.backends import KINDS
from lti_badges.backends.signer import Signer
from lti_badges.catalogue.issuance import backend_of, issuance_of
from lti_badges.context import ToolContext
from lti_badges.core import clock
from lti_badges.core.errors import InvalidInput, NotFound
from lti_badges.ledger.audit import record
from lti_badges.openbadges.documents import StatusEntry
from lti_badges.store import Award, BackendRow, IssuedCredential, RuleVersion
from lti_badges.values.award import HIDDEN, LINK, PUBLIC

VISIBILITIES = (HIDDEN, LINK, PUBLIC)


def may_show_result(session: Session, award: Award) -> bool:
    """Whether the rule that granted it lets learners show their result. What was given by hand has
    none: its reason stays between the learner and the course."""
    if award.rule_id is None or award.rule_version is None or award.judgement is None:
        return False
    version = session.get(RuleVersion, (award.rule_id, award.rule_version))
    return version is not None and version.may_show_result


def set_display(
    tool: ToolContext,
    award_id: str,
    member_id: str,
    *,
    visibility: str,
    shows_name: bool,
    shows_result: bool,
    by: str,
) -> None:
    """Keep a learner's choice for one of their own badges. Raises InvalidInput and NotFound."""
    if visibility not in VISIBILITIES:
        raise InvalidInput(f"Choose who sees it: {', '.join(VISIBILITIES)}.", field="visibility")
    with tool.sessions() as session:
        award = session.get(Award, award_id)
        if award is None or award.member_id != member_id:
            raise NotFound("This is not one of your badges.")
        row = session.get_one(BackendRow, award.backend_id)
        signs = KINDS[row.kind].traits.is_local
    # Keys are asked for outside of transactions.
    signer = Signer(backend_of(tool, row).config) if signs else None
    signers = signer.signers() if signer else None
    with tool.sessions.begin() as session:
        award = session.get_one(Award, award_id, with_for_update=True)
        if shows_result and not may_show_result(session, award):
            raise InvalidInput("The rule of this badge does not let results be shown.")
        same = (award.shows_name, award.shows_result) == (shows_name, shows_result)
        award.visibility = visibility
        award.shows_name, award.shows_result = shows_name, shows_result
        record(
            session,
            "display_chosen",
            actor=by,
            course_id=award.course_id,
            member_id=member_id,
            award_id=award.id,
            visibility=visibility,
            shows_name=shows_name,
            shows_result=shows_result,
        )
        held = session.get(IssuedCredential, award_id, with_for_update=True)
        if same or held is None or held.revoked_at is not None or not signer or not signers:
            return
        place = StatusEntry(tool.settings.url(f"/status/{held.status_list}"), held.status_index)
        anew = signer.signed(issuance_of(tool, session, award), place, signers)
        held.document, held.jwt, held.ob2 = anew.document, anew.jwt, anew.ob2
        held.issued_at = clock.now()
