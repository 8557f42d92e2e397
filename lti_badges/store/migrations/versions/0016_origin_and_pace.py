"""Whose credential an award points to, whether it was sent, and how fast backends may be called."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

NEW = {
    "awards": (
        sa.Column("origin", sa.String(10), nullable=True),
        sa.Column("revoke_adopted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("sends", sa.Integer(), server_default="0", nullable=False),
    ),
    "backends": (
        sa.Column("rate", sa.Float(), nullable=True),
        sa.Column("rate_at", sa.Float(), nullable=True),
        sa.Column("rate_since", sa.Float(), nullable=True),
        sa.Column("rate_ceiling", sa.Float(), nullable=True),
        sa.Column("next_call", sa.Float(), nullable=True),
        sa.Column("creating", sa.String(255), nullable=True),
    ),
}


def upgrade() -> None:
    for table, columns in NEW.items():
        for column in columns:
            op.add_column(table, column)
    # What was tried before may have arrived: it is looked up, as it always was.
    op.execute("UPDATE awards SET sends = attempts")
    op.execute(
        """
        UPDATE awards SET origin = 'shared'
        WHERE backend_ref IS NOT NULL AND EXISTS (
            SELECT 1 FROM awards AS other
            WHERE other.backend_id = awards.backend_id
              AND other.backend_ref = awards.backend_ref AND other.id <> awards.id
        )
        """
    )


def downgrade() -> None:
    for table, columns in NEW.items():
        with op.batch_alter_table(table) as batch_op:
            for column in columns:
                batch_op.drop_column(column.name)
