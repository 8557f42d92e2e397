"""When a backend's own badges were listed, and why they could not be."""

import sqlalchemy as sa
from alembic import op

import lti_badges.store.base

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("listed_at", lti_badges.store.base.UtcDateTime(timezone=True), nullable=True)
        )
        batch_op.add_column(sa.Column("listing_error", sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("backends", schema=None) as batch_op:
        batch_op.drop_column("listing_error")
        batch_op.drop_column("listed_at")
