"""People: who is known, everything held of one, and erasing it."""

from __future__ import annotations

import json
from pathlib import Path

import click
from sqlalchemy import func, or_, select

from lti_badges.cli.common import institution_option, json_option, open_context, show
from lti_badges.people.held import erasure_of, export_person
from lti_badges.pipeline import erase_person
from lti_badges.store import CourseMember, Person

BY = "command line"
MANY = 1000


@click.group()
def people() -> None:
    """Persons behind course members."""


@people.command("list")
@click.option("--search", default="", help="In names and e-mail addresses.")
@institution_option
@json_option
def list_people(search: str, institution: str | None, as_json: bool) -> None:
    """People, by name; the first thousand."""
    with open_context(institution).sessions() as session:
        courses = (
            select(func.count())
            .where(CourseMember.person_id == Person.id)
            .correlate(Person)
            .scalar_subquery()
        )
        query = select(Person, courses).order_by(func.lower(Person.name), Person.id).limit(MANY)
        if text := search.strip().lower():
            query = query.where(
                or_(
                    func.lower(Person.name).contains(text, autoescape=True),
                    func.lower(Person.email).contains(text, autoescape=True),
                )
            )
        rows = [
            {
                "id": person.id,
                "sub": person.sub,
                "name": person.name,
                "email": person.email,
                "courses": count,
                "erased_at": person.erased_at,
            }
            for person, count in session.execute(query)
        ]
    show(rows, ["id", "name", "email", "courses", "erased_at"], as_json=as_json)


@people.command("export")
@click.argument("person", metavar="PERSON")
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), help="Folder.")
@institution_option
def export(person: str, folder: Path | None, institution: str | None) -> None:
    """Everything held of a person (id, sub or e-mail): JSON, and with --to the files, too."""
    told = export_person(open_context(institution), person)
    text = json.dumps(told, ensure_ascii=False, indent=2)
    if folder is None:
        click.echo(text)
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(folder / "person.json", text)
    for row in told["credentials"]:
        _write(folder / f"{row['award_id']}.json", json.dumps(row["document"], indent=2))
        _write(folder / f"{row['award_id']}.jwt", row["jwt"])
    click.echo(f"Written to {folder}.")


@people.command("erase")
@click.argument("person", metavar="PERSON")
@click.option("--yes", is_flag=True, help="Do it; else only say what would be erased.")
@institution_option
def erase(person: str, institution: str | None, *, yes: bool) -> None:
    """Erase a person: badges are revoked, also at backends that can; what must stay stays without
    identity."""
    tool = open_context(institution)
    found = erase_person(tool, person, by=BY) if yes else erasure_of(tool, person)
    click.echo(
        f"{found.name}: {found.courses} courses, {found.results} results, {found.awards} awards "
        f"({len(found.standing)} to be revoked), {found.events} events."
    )
    if not yes:
        click.echo("Nothing is erased yet; to do it: --yes")
        return
    for award_id, why in found.left:
        click.echo(f"Award {award_id} could not be taken back: {why}", err=True)
    if found.left:
        raise click.ClickException("Erased but for these awards; run it again once they can be.")
    click.echo("Erased.")


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")
