"""Writes the next migration from the difference between models and migrations: `make migration`."""

import sys
from pathlib import Path

from alembic import command

from lti_badges.store import open_engine
from lti_badges.store.migrate import _config, upgrade


def main(message: str) -> None:
    """Compare on a scratch SQLite file, so that no real database is needed or touched."""
    scratch = Path("var/new-migration.db")
    scratch.unlink(missing_ok=True)
    context = open_engine(f"sqlite:///{scratch}")
    versions = Path("lti_badges/store/migrations/versions")
    number = f"{len(list(versions.glob('[0-9]*.py'))) + 1:04d}"
    upgrade(context)
    with context.begin() as connection:
        config = _config()
        config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
        config.attributes["connection"] = connection
        command.revision(config, message=message, rev_id=number, autogenerate=True)
    scratch.unlink(missing_ok=True)


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "change tables")
