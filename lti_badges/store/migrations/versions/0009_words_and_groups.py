"""Grades in words, items listed rarely, and connections of courses and deployments."""

import sqlalchemy as sa
from alembic import op

from lti_badges.store.base import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.add_column(sa.Column("awards_itself", sa.JSON(), nullable=True))

    with op.batch_alter_table("courses", schema=None) as batch_op:
        batch_op.add_column(sa.Column("connection", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("connected_by", sa.String(length=255), nullable=True))

    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.add_column(sa.Column("connection", sa.Text(), nullable=True))

    with op.batch_alter_table("platforms", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("connection_checked_at", UtcDateTime(timezone=True), nullable=True)
        )

    with op.batch_alter_table("line_items", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("in_words", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(
            sa.Column("is_rare", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(
            sa.Column("is_hidden", sa.Boolean(), server_default=sa.false(), nullable=False)
        )

    with op.batch_alter_table("rule_versions", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("counts_hidden", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(
            sa.Column("settle_minutes", sa.Integer(), server_default="0", nullable=False)
        )

    with op.batch_alter_table("results", schema=None) as batch_op:
        batch_op.add_column(sa.Column("mark", sa.String(length=100), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("rule_versions", schema=None) as batch_op:
        batch_op.drop_column("settle_minutes")
        batch_op.drop_column("counts_hidden")

    with op.batch_alter_table("results", schema=None) as batch_op:
        batch_op.drop_column("mark")

    with op.batch_alter_table("line_items", schema=None) as batch_op:
        batch_op.drop_column("is_hidden")
        batch_op.drop_column("is_rare")
        batch_op.drop_column("in_words")

    with op.batch_alter_table("platforms", schema=None) as batch_op:
        batch_op.drop_column("connection_checked_at")

    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.drop_column("connection")

    with op.batch_alter_table("courses", schema=None) as batch_op:
        batch_op.drop_column("connected_by")
        batch_op.drop_column("connection")

    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.drop_column("awards_itself")
