"""Changes to the tree of conditions in a rule's form: add, group, remove, move."""

from __future__ import annotations

from dataclasses import replace

from lti_badges.core.errors import InvalidInput
from lti_badges.rules.storage import MAX_CRITERIA
from lti_badges.web.instructor.rule_form import ALL, ANY, Node, RuleFields, in_order

ADD, GROUP, REMOVE, UP, DOWN = EDITS = ("add", "group", "remove", "up", "down")


def edited(fields: RuleFields, edit: str, at: int) -> tuple[RuleFields, int]:
    """The form after one change, and the number of the node that the focus goes to. `at` is the
    group to add to, or the node to remove or move. Raises InvalidInput."""
    nodes = list(fields.nodes)
    if edit in {ADD, GROUP}:
        return _added(fields, nodes, edit, at)
    node = next((each for each in nodes if each.number == at), None)
    if node is None or edit not in EDITS:
        raise InvalidInput("This condition is not there any more.")
    if edit == REMOVE:
        return _removed(fields, nodes, node)
    siblings = fields.children(node.parent)
    place = siblings.index(node)
    other = place - 1 if edit == UP else place + 1
    if not 0 <= other < len(siblings):
        return fields, node.number
    first, second = nodes.index(node), nodes.index(siblings[other])
    nodes[first], nodes[second] = nodes[second], nodes[first]
    return replace(fields, nodes=in_order(nodes)), node.number


def _added(fields: RuleFields, nodes: list[Node], edit: str, at: int) -> tuple[RuleFields, int]:
    if len(nodes) + 2 > MAX_CRITERIA:
        raise InvalidInput(f"A rule can hold at most {MAX_CRITERIA} conditions.")
    number = max((node.number for node in nodes), default=0) + 1
    if edit == ADD:
        nodes.append(Node(number, at))
    else:
        inner = ANY if fields.join == ALL else ALL
        nodes += [Node(number, at, join=inner), Node(number + 1, number)]
        number += 1
    return replace(fields, nodes=in_order(nodes)), number


def _removed(fields: RuleFields, nodes: list[Node], node: Node) -> tuple[RuleFields, int]:
    gone = {node.number}
    for each in nodes:  # in reading order, a group comes before what it holds
        if each.parent in gone:
            gone.add(each.number)
    left = [each for each in nodes if each.number not in gone]
    before = [each for each in left if not each.is_group]
    if not before:
        left = [Node(1)]
        before = left
    return replace(fields, nodes=in_order(left)), before[-1].number
