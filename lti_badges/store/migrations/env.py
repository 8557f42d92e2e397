"""Alembic's entry: migrates the connection that `store.migrate` hands in."""

from alembic import context

import lti_badges.store  # noqa: F401 - registers every table
from lti_badges.store.base import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
