"""The instructor's pages: badges and rules, the live preview, learners and why, sources."""

from __future__ import annotations

from flask import Blueprint, Response, g, render_template, request, stream_with_context
from sqlalchemy import select

from lti_badges.awarding.guard import keep_fallen_badges, resume_stopped_rule
from lti_badges.awarding.item_changes import accept_item_changes, item_changes_of
from lti_badges.awarding.manual import award_by_hand, keep_after_flag, retry, revoke
from lti_badges.awarding.rulebook import (
    RuleView,
    edit_rule,
    pause_rule,
    remove_rule,
    resume_rule,
    rule_view,
    rules_of,
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
from lti_badges.catalogue.connections import connection_of, sign_in_url
from lti_badges.context import ToolContext
from lti_badges.core.errors import InvalidInput, NotAllowed, NotFound
from lti_badges.courses.launch_intake import LaunchedMember
from lti_badges.pipeline import rehearse, sync_course
from lti_badges.queries.roster import awards_csv, flagged, roster, why
from lti_badges.queries.sources import capabilities, course_sources
from lti_badges.rules import Policy
from lti_badges.store import Award, CourseMember
from lti_badges.values.course import Role
from lti_badges.web.access import Access
from lti_badges.web.instructor import sign_in
from lti_badges.web.instructor.rule_form import (
    Line,
    Option,
    RuleFields,
    criterion_of,
    fields_of,
    options_for,
    read_fields,
)
from lti_badges.web.services import services

HARMLESS = {"/course/rules/rehearse", "/course/rules/line", "/course/awards.csv"}

instructor = Blueprint("instructor", __name__, url_prefix="/course", template_folder="templates")


@instructor.before_request
def _only_instructors() -> None:
    access = services().access.read(request)
    if access.role is not Role.INSTRUCTOR or not access.course_id:
        raise NotAllowed("Only instructors of the course can do this.")
    if access.read_only and request.method == "POST" and request.path not in HARMLESS:
        raise NotAllowed(
            "You are looking through somebody else's eyes (“act as user”): you can see everything, "
            "but change nothing. Log in as yourself to do this."
        )
    g.access = access


def page(access: Access, arrival: LaunchedMember, for_user: str | None = None) -> str:
    """The whole page, as a launch opens it."""
    member_id = _member(access.course_id, for_user) if for_user else None
    g.access = access
    main = learner_panel(member_id) if member_id else badges()
    return render_template(
        "instructor/page.html",
        arrival=arrival,
        token=services().access.make(access),
        main=main,
        focus=member_id,
    )


@instructor.get("/badges")
def badges() -> str:
    """The course's rules, with what came of them."""
    tool, course = services().tool, _course()
    return render_template(
        "instructor/badges.html",
        rules=rules_of(tool, course),
        flagged=flagged(tool, course),
        item_changes=item_changes_of(tool, course),
        clock=course_sources(tool, course),
    )


@instructor.get("/status")
def status() -> str:
    """Counts and clock, asked for every few seconds."""
    tool, course = services().tool, _course()
    return render_template(
        "instructor/_status.html",
        rules=rules_of(tool, course),
        clock=course_sources(tool, course),
    )


@instructor.post("/sync")
def sync() -> str:
    """Read the course now."""
    report = sync_course(services().tool, _course())
    for award_id in report.awards:
        services().tool.enqueue("deliver", award_id)
    return badges()


@instructor.get("/rules/new")
def new_rule() -> str:
    """An empty form; a badge that is the only one without a rule is chosen already."""
    tool, course = services().tool, _course()
    taken = {rule.achievement.id for rule in rules_of(tool, course)}
    free = [each.id for each in achievements_for(tool, course) if each.id not in taken]
    return _form(RuleFields(achievement_id=free[0] if len(free) == 1 else ""))


@instructor.get("/rules/<rule_id>")
def show_rule(rule_id: str) -> str:
    """A rule in its form."""
    view = _own_rule(rule_id)
    fields = fields_of(view.achievement.id, view.criterion, view.policy)
    if fields is None:
        raise InvalidInput(
            "This rule was written outside this page and nests its conditions; edit it where it "
            "was written, or remove it here and make it anew."
        )
    return _form(fields, rule_id)


@instructor.post("/rules/line")
def add_line() -> str:
    """The form with one more condition."""
    fields = read_fields(request.form)
    number = max(line.number for line in fields.lines) + 1
    lines = (*fields.lines, Line(number, ""))
    return _form(
        RuleFields(fields.achievement_id, lines, fields.join, fields.n, fields.policy),
        request.form.get("rule") or None,
    )


@instructor.post("/rules/rehearse")
def rehearsal() -> str:
    """Who would get the badge if the form were saved now."""
    tool, course = services().tool, _course()
    fields = read_fields(request.form)
    if not any(line.value for line in fields.lines):
        return render_template("instructor/_rehearsal.html", rehearsal=None)
    criterion = criterion_of(fields, _options(tool, course))
    done = rehearse(tool, course, criterion, fields.achievement_id or None, fields.policy)
    return render_template("instructor/_rehearsal.html", rehearsal=done)


@instructor.post("/rules")
def save() -> str:
    """Put the form's rule in force, or its new version."""
    tool, course = services().tool, _course()
    fields = read_fields(request.form)
    criterion = criterion_of(fields, _options(tool, course))
    if rule_id := request.form.get("rule"):
        _own_rule(rule_id)
        edit_rule(tool, rule_id, criterion, fields.policy, by=_access().actor)
    else:
        if not fields.achievement_id:
            raise InvalidInput("Choose a badge, or create one.", field="achievement")
        save_rule(tool, course, fields.achievement_id, criterion, fields.policy, by=_access().actor)
    return badges()


@instructor.post("/rules/<rule_id>/<any(pause, resume, remove):change>")
def change_rule(rule_id: str, change: str) -> str:
    """Pause, resume or remove a rule."""
    _own_rule(rule_id)
    changes = {"pause": pause_rule, "resume": resume_rule, "remove": remove_rule}
    changes[change](services().tool, rule_id, by=_access().actor)
    return badges()


@instructor.post("/rules/<rule_id>/<any(accept, release, keep):decision>")
def decide(rule_id: str, decision: str) -> str:
    """What the instructor says to a rule that waits: take its new items, go on, keep the badges."""
    tool, course, by = services().tool, _course(), _access().actor
    if decision == "accept":
        accept_item_changes(tool, course, rule_id, by=by)
    elif decision == "release":
        resume_stopped_rule(tool, course, rule_id, by=by)
    else:
        keep_fallen_badges(tool, course, rule_id, by=by)
    return badges()


@instructor.post("/backend")
def choose_backend() -> str:
    """Choose badges from another backend."""
    use_backend(services().tool, _course(), request.form.get("backend", ""), by=_access().actor)
    fields = read_fields(request.form)
    return _form(RuleFields("", fields.lines, fields.join, fields.n, fields.policy))


@instructor.post("/achievements")
def create() -> str:
    """A new badge of this course, then the form with it chosen."""
    tool, course = services().tool, _course()
    upload = request.files.get("image")
    image = upload.read() if upload and upload.filename else None
    draft = AchievementDraft(
        name=request.form.get("name", ""),
        description=request.form.get("description", ""),
        criteria=request.form.get("criteria", "") or request.form.get("description", ""),
        image=image,
    )
    with tool.sessions() as session:
        backend_id = backend_of_course(session, course).id
    achievement_id = create_achievement(tool, backend_id, draft, course_id=course)
    fields = read_fields(request.form)
    return _form(RuleFields(achievement_id, fields.lines, fields.join, fields.n, fields.policy))


@instructor.get("/learners")
def learners() -> str:
    """Everybody under every badge."""
    found = roster(
        services().tool,
        _course(),
        search=request.args.get("search", "")[:100],
        page=request.args.get("page", 1, type=int),
    )
    whole = request.headers.get("HX-Target") != "roster"
    return render_template(
        "instructor/learners.html" if whole else "instructor/_roster.html",
        roster=found,
        search=request.args.get("search", ""),
    )


@instructor.get("/learners/<member_id>")
def learner_panel(member_id: str) -> str:
    """One learner: why, and why not."""
    tool, course = services().tool, _course()
    member, answers = why(tool, course, member_id)
    held = {each.achievement_id for each in answers if each.award and each.award.revoked_at is None}
    others = [each for each in achievements_for(tool, course) if each.id not in held]
    return render_template("instructor/learner.html", member=member, answers=answers, others=others)


@instructor.post("/learners/<member_id>/award")
def by_hand(member_id: str) -> str:
    """Award by hand."""
    award_by_hand(
        services().tool,
        _course(),
        member_id,
        request.form.get("achievement", ""),
        by=_access().actor,
        reason=request.form.get("reason", ""),
    )
    return learner_panel(member_id)


@instructor.post("/awards/<award_id>/revoke")
def take_back(award_id: str) -> str:
    """Revoke with a reason."""
    award = _own_award(award_id)
    revoke(services().tool, award_id, reason=request.form.get("reason", ""), by=_access().actor)
    return learner_panel(award.member_id)


@instructor.post("/awards/<award_id>/retry")
def again(award_id: str) -> str:
    """Deliver again, now."""
    award = _own_award(award_id)
    retry(services().tool, [award_id], by=_access().actor)
    return learner_panel(award.member_id)


@instructor.post("/flags/<rule_id>/<member_id>/keep")
def keep(rule_id: str, member_id: str) -> str:
    """Let a badge stand whose grade fell."""
    keep_after_flag(services().tool, _course(), rule_id, member_id, by=_access().actor)
    return badges()


@instructor.post("/awards.csv")
def export() -> Response:
    """All awards for a spreadsheet, streamed."""
    lines = awards_csv(services().tool, _course())
    return Response(
        stream_with_context(lines),
        mimetype="text/csv",
        headers={"Content-Disposition": 'attachment; filename="badges.csv"'},
    )


@instructor.get("/sources")
def sources() -> str:
    """What is read, from where and when; what this LMS tells and what it does not."""
    tool, course = services().tool, _course()
    return render_template(
        "instructor/sources.html",
        clock=course_sources(tool, course),
        capabilities=capabilities(tool, course),
        connection=connection_of(tool, course),
    )


@instructor.post("/sign-in")
def ask_sign_in() -> str:
    """A link to the LMS's consent page; it is made when asked for, as it ages."""
    state = services().access.sign_in(_access())
    url = sign_in_url(services().tool, _course(), sign_in.address(), state)
    return render_template("instructor/_sign_in.html", url=url)


def _access() -> Access:
    access: Access = g.access
    return access


def _course() -> str:
    return _access().course_id


def _options(tool: ToolContext, course_id: str) -> list[Option]:
    return options_for(course_sources(tool, course_id).sources, achievements_for(tool, course_id))


def _form(fields: RuleFields, rule_id: str | None = None) -> str:
    tool, course = services().tool, _course()
    catalogue = catalogue_of(tool, course)
    badges_here = achievements_for(tool, course)
    options = _options(tool, course)
    taken = {rule.achievement.id for rule in rules_of(tool, course) if rule.id != rule_id}
    return render_template(
        "instructor/rule.html",
        fields=fields,
        rule_id=rule_id,
        badges=badges_here,
        catalogue=catalogue,
        taken=taken,
        options=options,
        groups=list(dict.fromkeys(option.group for option in options)),
        missing=_missing(tool, course),
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


def _own_rule(rule_id: str) -> RuleView:
    view = rule_view(services().tool, rule_id)
    if view.course_id != _course():
        raise NotFound("There is no such rule in this course.")
    return view


def _own_award(award_id: str) -> Award:
    with services().tool.sessions() as session:
        award = session.get(Award, award_id)
    if award is None or award.course_id != _course():
        raise NotFound("There is no such award in this course.")
    return award


def _member(course_id: str, sub: str) -> str | None:
    with services().tool.sessions() as session:
        return session.scalar(
            select(CourseMember.id).where(
                CourseMember.course_id == course_id, CourseMember.sub == sub
            )
        )
