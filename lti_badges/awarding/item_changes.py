"""Rules whose items are no longer what they were: gone from the course, or renamed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import select

from lti_badges.awarding.rule_views import RuleView, rules_of
from lti_badges.awarding.rulebook import edit_rule
from lti_badges.context import ToolContext
from lti_badges.core.errors import NotFound
from lti_badges.rules import (
    Criterion,
    Joined,
    Named,
    kind_of,
    leaves,
)
from lti_badges.store import LineItem


@dataclass(frozen=True, slots=True)
class ItemChange:
    """One condition that waits. `proposed` is the item that it would look at after one click; None
    when the instructor has to choose."""

    rule_id: str
    badge: str
    label: str
    gone: bool
    proposed: str | None
    copied: bool = False
    """Whether the rule came with a copied course, and waits switched off."""

    @property
    def sentence(self) -> str:
        """What changed, as the banner on the course's page says it."""
        if self.copied:
            if self.proposed:
                return (
                    f"It came with the copied course and looks at “{self.label}”, now found here."
                )
            return f"It came with the copied course, and this course has no “{self.label}” yet."
        if not self.gone:
            return f"“{self.label}” is called “{self.proposed}” now. Is it still what is meant?"
        if self.proposed:
            return (
                f"“{self.label}” was taken out of the course, and there is a new one of that name."
            )
        return f"“{self.label}” was deleted or hidden in the course."


def item_changes_of(tool: ToolContext, course_id: str) -> list[ItemChange]:
    """All conditions of rules that wait, in the rules' order; of paused rules only those whose
    items this course never had."""
    items = _Items.of(tool, course_id)
    return [
        change
        for view in rules_of(tool, course_id)
        for leaf in leaves(view.criterion)
        if (change := _change_of(items, view, leaf)) is not None and (view.active or change.copied)
    ]


def accept_item_changes(tool: ToolContext, course_id: str, rule_id: str, *, by: str) -> None:
    """Take the new names, and the new items of the old names, as what the rule means. Raises
    NotFound when nothing can be proposed so."""
    items = _Items.of(tool, course_id)
    view = next((each for each in rules_of(tool, course_id) if each.id == rule_id), None)
    found = (
        [] if view is None else [_change_of(items, view, leaf) for leaf in leaves(view.criterion)]
    )
    waiting = [change for change in found if change is not None and change.proposed]
    if view is None or not waiting:
        raise NotFound("Nothing in this rule waits for a decision any more.")
    moved = [change.label for change in waiting if change.gone]
    why = f"“{moved[0]}” is another item than before." if moved else None
    edit_rule(tool, rule_id, items.proposed(view.criterion), view.policy, by=by, suspicion=why)


@dataclass(frozen=True, slots=True)
class _Items:
    """The course's items: by (kind, key), and those whose name only one of them has."""

    by_key: dict[tuple[str, str], LineItem]
    by_name: dict[tuple[str, str], LineItem]

    @classmethod
    def of(cls, tool: ToolContext, course_id: str) -> _Items:
        with tool.sessions() as session:
            rows = list(session.scalars(select(LineItem).where(LineItem.course_id == course_id)))
        present = [row for row in rows if row.present and not row.is_own]
        names = [(row.kind, row.label) for row in present]
        return cls(
            by_key={(row.kind, row.key): row for row in rows},
            by_name={
                (row.kind, row.label): row
                for row in present
                if names.count((row.kind, row.label)) == 1
            },
        )

    def now(self, leaf: Named) -> LineItem | None:
        """What a condition would look at after its correction."""
        kind = kind_of(leaf).value
        row = self.by_key.get((kind, leaf.key))
        return row if row is not None and row.present else self.by_name.get((kind, leaf.label))

    def proposed(self, criterion: Criterion) -> Criterion:
        """The criterion with keys and labels as they are now."""
        if isinstance(criterion, Joined):
            return replace(
                criterion, criteria=tuple(self.proposed(part) for part in criterion.criteria)
            )
        if isinstance(criterion, Named):
            row = self.now(criterion)
            return replace(criterion, key=row.key, label=row.label) if row else criterion
        return criterion


def _change_of(items: _Items, view: RuleView, leaf: Criterion) -> ItemChange | None:
    if not isinstance(leaf, Named):
        return None
    row = items.by_key.get((kind_of(leaf).value, leaf.key))
    gone = row is None or not row.present
    if not gone and row is not None and row.label == leaf.label:
        return None
    now = items.now(leaf)
    proposed = now.label if now else None
    copied = row is None and not view.active
    return ItemChange(view.id, view.achievement.name, leaf.label, gone, proposed, copied)
