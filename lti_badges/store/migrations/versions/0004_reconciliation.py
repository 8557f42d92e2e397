"""What the daily comparison with each backend found."""

import sqlalchemy as sa
from alembic import op

import lti_badges.store.base

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "reconciled_at", lti_badges.store.base.UtcDateTime(timezone=True), nullable=True
            )
        )
        batch_op.add_column(sa.Column("reconciled", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.drop_column("reconciled")
        batch_op.drop_column("reconciled_at")
