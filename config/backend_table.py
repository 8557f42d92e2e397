"""Writes docs/backends/README.md from what the adapters declare: `python config/backend_table.py`.

A test compares the file with the adapters, so that the table can't promise what the code doesn't.
"""

from pathlib import Path

from lti_badges.backends import KINDS, Backend

FILE = Path("docs/backends/README.md")
INTRODUCTION = """# Badge backends

What each backend can do here, as its adapter declares it (`python config/backend_table.py` writes
this page; a test compares it). The guides say how each is connected.

- *Needs*: what the LMS must tell of a learner; without it the award waits.
- *Badges*: whether they are made from here or only there.
- *Second award*: who makes sure that a learner does not get the same badge twice. “Server”: it
  refuses a second one; “look-up”: it is asked before each first send; “marker”: what we sent is
  found again by a marker of ours, others' credentials are not looked at; “same id”: sent again, it
  replaces itself.
- *Whose*: whether credentials that others issued there are told from ours. They are adopted, and
  never revoked without a person's word.
"""


def needs(kind: type[Backend]) -> str:
    """What the LMS must tell."""
    traits = kind.traits
    named = [
        word
        for word, wanted in (
            ("e-mail", traits.needs_email),
            ("name", traits.needs_name),
            ("other id", traits.needs_other_id),
        )
        if wanted
    ]
    return ", ".join(named) or "nothing"


def second(kind: type[Backend]) -> str:
    """What stands against a second award."""
    traits = kind.traits
    if traits.is_local or not traits.finds:
        return "same id"
    if traits.guards_duplicates:
        return "server"
    return "look-up" if traits.looks_first else "marker"


def table() -> str:
    """The whole page."""
    head = (
        "Backend",
        "Kind",
        "Needs",
        "Badges",
        "Revokes",
        "Second award",
        "Whose",
        "Evidence",
        "Expiry",
        "Results",
        "Mails",
    )
    rows = [head, tuple("---" for _ in head)]
    for kind in KINDS.values():
        traits = kind.traits
        guide = f"[{kind.label}]({Path(kind.docs).name})"
        flags = (traits.takes_evidence, traits.takes_expiry, traits.takes_score, traits.sends_mail)
        rows.append(
            (
                guide,
                f"`{kind.kind}`",
                needs(kind),
                "here or there"
                if traits.creates_achievements and traits.lists
                else "here"
                if traits.creates_achievements
                else "there",
                "yes" if traits.revokes else "no",
                second(kind),
                "told apart" if traits.marks or traits.is_local or not traits.finds else "by time",
                *("yes" if flag else "no" for flag in flags),
            )
        )
    return f"{INTRODUCTION}\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


if __name__ == "__main__":
    FILE.write_text(table(), encoding="utf-8")
