"""How many awards were sent in the last minute is kept by the second."""

import sqlalchemy as sa
from alembic import op

import lti_badges.store.base

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("backends", sa.Column("minute_sends", sa.JSON(), nullable=True))
    with op.batch_alter_table("backends") as batch_op:
        batch_op.drop_column("minute_at")
        batch_op.drop_column("minute_count")


def downgrade() -> None:
    op.add_column(
        "backends",
        sa.Column("minute_at", lti_badges.store.base.UtcDateTime(timezone=True), nullable=True),
    )
    op.add_column(
        "backends", sa.Column("minute_count", sa.Integer(), server_default="0", nullable=False)
    )
    with op.batch_alter_table("backends") as batch_op:
        batch_op.drop_column("minute_sends")
