"""Where a deployment takes orders for notices, and what came of ours."""

import sqlalchemy as sa
from alembic import op

from lti_badges.store.base import UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.add_column(sa.Column("notices_url", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("notices_error", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("notices_due_at", UtcDateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("deployments", schema=None) as batch_op:
        batch_op.drop_column("notices_due_at")
        batch_op.drop_column("notices_error")
        batch_op.drop_column("notices_url")
