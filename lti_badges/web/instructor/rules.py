"""Making and changing rules: the form, its preview, saving, pausing, decisions."""

from __future__ import annotations

from dataclasses import replace

from flask import Response, render_template, request

from lti_badges.awarding.guard import keep_fallen_badges, resume_stopped_rule
from lti_badges.awarding.item_changes import accept_item_changes
from lti_badges.awarding.manual import keep_after_flag
from lti_badges.awarding.rehearsal import rehearse as rehearse_stored
from lti_badges.awarding.rule_views import rules_of
from lti_badges.awarding.rulebook import (
    edit_rule,
    pause_rule,
    remove_rule,
    resume_all,
    resume_rule,
    save_rule,
)
from lti_badges.backends import AchievementDraft
from lti_badges.catalogue.achievements import (
    achievements_for,
    backend_of_course,
    catalogue_of,
    create_achievement,
    use_backend,
)
from lti_badges.catalogue.connections import connection_of, lms_of
from lti_badges.context import ToolContext
from lti_badges.core.errors import InvalidInput
from lti_badges.pipeline import rehearse
from lti_badges.queries.course_sources import capabilities, course_sources
from lti_badges.rules import Criterion, Policy
from lti_badges.web.instructor.blueprint import (
    current_access,
    current_course,
    instructor,
    own_rule,
)
from lti_badges.web.instructor.condition_edits import edited
from lti_badges.web.instructor.options import Option, only_graded, options_for
from lti_badges.web.instructor.pages import badges_page
from lti_badges.web.instructor.rule_form import (
    Node,
    RuleFields,
    criterion_of,
    fields_of,
    read_fields,
)
from lti_badges.web.polling import announce
from lti_badges.web.services import services

NEW_BADGE = "new"
NAMED = 5
READ_ANEW = "read"
"""No change of the conditions, only what they can look at by now."""


@instructor.get("/rules/new")
def new_rule() -> str:
    """The form with what most rules are: the only badge without a rule, the only graded item."""
    tool, course = services().tool, current_course()
    taken = {rule.achievement.id for rule in rules_of(tool, course)}
    badges_here = achievements_for(tool, course)
    free = [each.id for each in badges_here if each.id not in taken]
    chosen = free[0] if len(free) == 1 else ("" if free else NEW_BADGE)
    item = only_graded(_options(tool, course))
    return _form(RuleFields(achievement_id=chosen, nodes=(Node(1, value=item),)))


@instructor.get("/rules/<rule_id>")
def show_rule(rule_id: str) -> str:
    """A rule in its form."""
    view = own_rule(rule_id)
    return _form(fields_of(view.achievement.id, view.criterion, view.policy), rule_id)


def rule_of_badge(achievement_id: str) -> str | None:
    """The badge's rule in its form, or the form of a new rule with the badge chosen. None when this
    course can't award the badge (archived, or of another backend than the course's)."""
    tool, course = services().tool, current_course()
    rule = next((r for r in rules_of(tool, course) if r.achievement.id == achievement_id), None)
    if rule is not None:
        return _form(fields_of(achievement_id, rule.criterion, rule.policy), rule.id)
    if all(each.id != achievement_id for each in achievements_for(tool, course)):
        return None
    item = only_graded(_options(tool, course))
    return _form(RuleFields(achievement_id=achievement_id, nodes=(Node(1, value=item),)))


@instructor.post("/rules/conditions")
def edit_conditions() -> str:
    """The form's conditions after one was added, removed or moved."""
    fields, edit = read_fields(request.form), request.form.get("edit", "")
    if edit == READ_ANEW:
        return _conditions(fields)
    return _conditions(*edited(fields, edit, request.form.get("at", 0, type=int)))


@instructor.post("/rules/rehearse")
def rehearsal() -> str | Response:
    """Who would get the badge if the form were saved now, from what is stored."""
    tool, course = services().tool, current_course()
    try:
        fields = read_fields(request.form)
        if not any(node.value for node in fields.nodes):
            return render_template("instructor/_rehearsal.html", rehearsal=None)
        criterion = criterion_of(fields, _options(tool, course))
    except InvalidInput as problem:
        # Beside the preview, not above the form: the person is still writing.
        page = render_template("instructor/_rehearsal.html", rehearsal=None, problem=problem)
        return Response(page, 422, {"HX-Retarget": "#rehearsal", "HX-Reswap": "innerHTML"})
    achievement_id = "" if fields.achievement_id == NEW_BADGE else fields.achievement_id
    rule_id = request.form.get("rule") or None
    done = rehearse(tool, course, criterion, achievement_id or None, fields.policy, rule_id)
    graded = [node for node in fields.nodes if node.value.startswith(("item:", "course_grade:"))]
    thresholds = [f"percent-{node.number}" for node in graded]
    return render_template("instructor/_rehearsal.html", rehearsal=done, thresholds=thresholds)


@instructor.post("/rules")
def save() -> Response:
    """Put the form's rule in force, with a badge that is made now if it is new; or its new
    version."""
    tool, course, by = services().tool, current_course(), current_access().actor
    fields = read_fields(request.form)
    criterion = criterion_of(fields, _options(tool, course))
    if rule_id := request.form.get("rule"):
        name = own_rule(rule_id).achievement.name
        ticked = request.form.get("take_back") == "on"
        losers = frozenset(request.form.getlist("loses")) if ticked else frozenset()
        edit_rule(tool, rule_id, criterion, fields.policy, by=by, take_from=losers)
        notice = f"The rule of “{name}” is saved."
    else:
        if not fields.achievement_id:
            raise InvalidInput("Choose a badge, or make a new one.", field="achievement")
        achievement_id = fields.achievement_id
        if achievement_id == NEW_BADGE:
            achievement_id = _made(f"{criterion.describe()}.")
        save_rule(tool, course, achievement_id, criterion, fields.policy, by=by, rehearsed=True)
        notice = _started(criterion, achievement_id, fields.policy)
    return announce(badges_page(notice), notice)


@instructor.post("/rules/<rule_id>/<any(pause, resume, remove):change>")
def change_rule(rule_id: str, change: str) -> str:
    """Pause, resume or remove a rule."""
    own_rule(rule_id)
    tool, by = services().tool, current_access().actor
    if change == "remove":
        remove_rule(tool, rule_id, by=by, drop_column=request.form.get("drop_column") == "on")
        tool.enqueue("column", rule_id)
    else:
        (pause_rule if change == "pause" else resume_rule)(tool, rule_id, by=by)
    return badges_page()


@instructor.post("/rules/resume-all")
def resume_all_rules() -> str:
    """Switch on all that came with a copied course and found its items."""
    waiting = resume_all(services().tool, current_course(), by=current_access().actor)
    if not waiting:
        return badges_page("All rules are on.")
    return badges_page(f"All rules are on but those of: {', '.join(waiting)}.")


@instructor.post("/rules/<rule_id>/<any(accept, release, keep):decision>")
def decide(rule_id: str, decision: str) -> str:
    """What the instructor says to a rule that waits: take its new items, go on, keep the badges."""
    tool, course, by = services().tool, current_course(), current_access().actor
    if decision == "accept":
        accept_item_changes(tool, course, rule_id, by=by)
    elif decision == "release":
        resume_stopped_rule(tool, course, rule_id, by=by)
    else:
        keep_fallen_badges(tool, course, rule_id, by=by)
    return badges_page()


@instructor.post("/flags/<rule_id>/<member_id>/keep")
def keep(rule_id: str, member_id: str) -> str:
    """Let a badge stand whose grade fell."""
    keep_after_flag(
        services().tool, current_course(), rule_id, member_id, by=current_access().actor
    )
    return badges_page()


@instructor.post("/backend")
def choose_backend() -> str:
    """Choose badges from another backend."""
    use_backend(
        services().tool,
        current_course(),
        request.form.get("backend", ""),
        by=current_access().actor,
    )
    fields = read_fields(request.form)
    return _form(replace(fields, achievement_id=""))


@instructor.post("/achievements")
def create() -> str:
    """A new badge of this course, then the form with it chosen."""
    achievement_id = _made("")
    fields = read_fields(request.form)
    return _form(replace(fields, achievement_id=achievement_id))


def _made(criteria: str) -> str:
    """Make the badge that the form describes; `criteria` is what it is earned for, if the person
    wrote nothing. Returns its id."""
    tool, course = services().tool, current_course()
    upload = request.files.get("image")
    description = request.form.get("description", "").strip()
    draft = AchievementDraft(
        name=request.form.get("name", ""),
        description=description or criteria,
        criteria=request.form.get("criteria", "").strip() or criteria or description,
        image=upload.read() if upload and upload.filename else None,
    )
    with tool.sessions() as session:
        backend_id = backend_of_course(session, course).id
    return create_achievement(tool, backend_id, draft, course_id=course)


def _started(criterion: Criterion, achievement_id: str, policy: Policy) -> str:
    """What just began, with who gets it at once."""
    tool, course = services().tool, current_course()
    name = next(each.name for each in achievements_for(tool, course) if each.id == achievement_id)
    seen = rehearse_stored(tool, course, criterion, achievement_id, policy)
    getting = seen.awarded + seen.holding
    if not getting:
        return f"“{name}” is on. Nobody has reached it yet; whoever does gets it by themselves."
    people = ", ".join(person.name for person in seen.would_get[:NAMED])
    more = f" and {getting - NAMED} more" if people and getting > NAMED else ""
    who = f": {people}{more}" if people else ""
    return f"“{name}” is on. {getting} of {seen.learners} learners have reached it{who}."


def _options(tool: ToolContext, course_id: str) -> list[Option]:
    return options_for(course_sources(tool, course_id).sources, achievements_for(tool, course_id))


def _conditions(fields: RuleFields, focus: int = 0) -> str:
    """The conditions alone; `focus` is the node that was just made or moved."""
    tool, course = services().tool, current_course()
    told = course_sources(tool, course)
    options = options_for(told.sources, achievements_for(tool, course))
    return render_template(
        "instructor/_conditions.html",
        fields=fields,
        focus=focus,
        options=options,
        groups=list(dict.fromkeys(option.group for option in options)),
        missing=_missing(tool, course),
        is_awaited=told.is_awaited,
    )


def _form(fields: RuleFields, rule_id: str | None = None) -> str:
    tool, course = services().tool, current_course()
    catalogue = catalogue_of(tool, course)
    badges_here = achievements_for(tool, course)
    taken = {rule.achievement.id for rule in rules_of(tool, course) if rule.id != rule_id}
    return render_template(
        "instructor/rule.html",
        fields=fields,
        rule_id=rule_id,
        badges=badges_here,
        catalogue=catalogue,
        taken=taken,
        conditions=_conditions(fields),
        new_badge=NEW_BADGE,
        column_note=lms_of(tool, course).column_note,
        default=Policy(),
    )


def _missing(tool: ToolContext, course_id: str) -> list[str]:
    """Why something may not be in the list of items."""
    said = [each.sentence for each in capabilities(tool, course_id) if not each.available]
    connection = connection_of(tool, course_id)
    if connection.asks_instructors and connection.connected_by is None:
        said = ["Sign in on the page “Sources”: then rules can use all grades and completion."]
    problem = course_sources(tool, course_id).list_error
    return [*said, f"Sections, groups and the like: {problem}"] if problem else said
