"""Badges got and lost are noted until those who build on them are marked."""

import sqlalchemy as sa
from alembic import op

import lti_badges.store.base

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "holding_changes",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("award_id", sa.String(36), nullable=False),
        sa.Column("due_at", lti_badges.store.base.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["award_id"],
            ["awards.id"],
            name="fk_holding_changes_award_id_awards",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_holding_changes"),
    )
    op.create_index("ix_holding_changes_due_at", "holding_changes", ["due_at"])
    op.create_index("ix_holding_changes_award_id", "holding_changes", ["award_id"])
    # Badges that expire later, and those whose end nobody was told of.
    op.execute(
        "INSERT INTO holding_changes (award_id, due_at) SELECT id, expires_at FROM awards "
        "WHERE expires_at IS NOT NULL AND state NOT IN ('revoking', 'revoked', 'rejected')"
    )


def downgrade() -> None:
    op.drop_table("holding_changes")
