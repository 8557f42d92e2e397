"""Awards are listed by their time, and by their learner, however many there are."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

NEW = {"ix_awards_created_at_id": ["created_at", "id"], "ix_awards_member_id": ["member_id"]}


def upgrade() -> None:
    for name, columns in NEW.items():
        op.create_index(name, "awards", columns)


def downgrade() -> None:
    for name in NEW:
        op.drop_index(name, table_name="awards")
