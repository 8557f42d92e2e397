"""Places of status lists from a counter, drawn pictures, and what public pages look up."""

import sqlalchemy as sa
from alembic import op

from lti_badges.store.base import UtcDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

REVOKED = sa.text("revoked_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "status_lists",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("backend_id", sa.String(length=36), nullable=False),
        sa.Column("seed", sa.String(length=36), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["backend_id"],
            ["backends.id"],
            name=op.f("fk_status_lists_backend_id_backends"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_status_lists")),
    )
    op.create_index(
        op.f("ix_status_lists_backend_id_taken"), "status_lists", ["backend_id", "taken"]
    )
    op.create_table(
        "drawn_pictures",
        sa.Column("svg_hash", sa.String(length=64), nullable=False),
        sa.Column("png", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("svg_hash", name=op.f("pk_drawn_pictures")),
    )
    op.create_index(op.f("ix_credentials_backend_id"), "credentials", ["backend_id"])
    op.create_index(op.f("ix_credentials_achievement_id"), "credentials", ["achievement_id"])
    op.create_index(
        "ix_credentials_revoked",
        "credentials",
        ["status_list"],
        postgresql_where=REVOKED,
        sqlite_where=REVOKED,
    )


def downgrade() -> None:
    op.drop_index("ix_credentials_revoked", "credentials")
    op.drop_index(op.f("ix_credentials_achievement_id"), "credentials")
    op.drop_index(op.f("ix_credentials_backend_id"), "credentials")
    op.drop_table("drawn_pictures")
    op.drop_index(op.f("ix_status_lists_backend_id_taken"), "status_lists")
    op.drop_table("status_lists")
