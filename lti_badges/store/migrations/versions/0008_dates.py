"""When a rule's badges are given, and why one waits."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("rule_versions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("not_before", sa.Date(), nullable=True))
        batch_op.add_column(sa.Column("not_after", sa.Date(), nullable=True))
        batch_op.add_column(
            sa.Column("delay_days", sa.Integer(), server_default="0", nullable=False)
        )

    with op.batch_alter_table("standings", schema=None) as batch_op:
        batch_op.add_column(sa.Column("waits", sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("standings", schema=None) as batch_op:
        batch_op.drop_column("waits")

    with op.batch_alter_table("rule_versions", schema=None) as batch_op:
        batch_op.drop_column("delay_days")
        batch_op.drop_column("not_after")
        batch_op.drop_column("not_before")
