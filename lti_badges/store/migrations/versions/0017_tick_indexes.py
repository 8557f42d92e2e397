"""What the schedule looks for every two seconds has indexes that hold nothing else."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

NEW = {
    "ix_awards_leased": (["lease_until"], "lease_until IS NOT NULL"),
    "ix_awards_to_pass_back": (["created_at", "id"], "passed_back IN ('due', 'withdraw')"),
}


def upgrade() -> None:
    for name, (columns, where) in NEW.items():
        op.create_index(
            name, "awards", columns, postgresql_where=sa.text(where), sqlite_where=sa.text(where)
        )


def downgrade() -> None:
    for name in NEW:
        op.drop_index(name, table_name="awards")
