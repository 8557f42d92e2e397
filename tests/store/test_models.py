"""The models are what the migrations make: `make migration` would find nothing to add."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

import lti_badges.store  # noqa: F401 - registers every table
from lti_badges.settings import Settings
from lti_badges.store import open_engine
from lti_badges.store.base import Base


def test_the_models_equal_what_the_migrations_make(database_url: str) -> None:
    engine = open_engine(Settings(database_url=database_url).database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, Base.metadata)
    engine.dispose()
    assert found == []
