"""Rules that wait for the instructor after a jump that nobody explained."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("award_rules", schema=None) as batch_op:
        batch_op.add_column(sa.Column("suspicion", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("stopped", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("award_rules", schema=None) as batch_op:
        batch_op.drop_column("stopped")
        batch_op.drop_column("suspicion")
