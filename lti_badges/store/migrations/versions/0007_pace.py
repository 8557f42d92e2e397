"""How many awards a backend was sent in a minute."""

import sqlalchemy as sa
from alembic import op

import lti_badges.store.base

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("minute_at", lti_badges.store.base.UtcDateTime(timezone=True), nullable=True)
        )
        batch_op.add_column(
            sa.Column("minute_count", sa.Integer(), server_default="0", nullable=False)
        )


def downgrade() -> None:
    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.drop_column("minute_count")
        batch_op.drop_column("minute_at")
