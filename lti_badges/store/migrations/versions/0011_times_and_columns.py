"""When something was achieved, who may earn, and the gradebook columns of badges."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from lti_badges.store.base import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

MOMENT = UtcDateTime(timezone=True)
NEW = {
    "courses": (
        sa.Column("sync_progress", sa.String(80), nullable=True),
        sa.Column("sync_crashes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("roster_short_since", MOMENT, nullable=True),
    ),
    "members": (
        sa.Column("roster_says", sa.String(10), nullable=True),
        sa.Column("is_tracked", sa.Boolean(), nullable=True),
    ),
    "results": (
        sa.Column("graded_at", MOMENT, nullable=True),
        sa.Column("submitted_at", MOMENT, nullable=True),
        sa.Column("posted_at", MOMENT, nullable=True),
    ),
    "award_rules": (
        sa.Column("column_drop", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("column_error", sa.Text(), nullable=True),
    ),
    "rule_versions": (
        sa.Column("counts_at", sa.String(12), server_default="graded", nullable=False),
        sa.Column("builds_on", sa.Boolean(), server_default=sa.false(), nullable=False),
    ),
    "standings": (
        sa.Column("met_by", sa.String(12), nullable=True),
        sa.Column("takes_version", sa.Integer(), nullable=True),
    ),
    "awards": (
        sa.Column("achieved_by", sa.String(12), nullable=True),
        sa.Column("rest_until", MOMENT, nullable=True),
        sa.Column("pass_back_at", MOMENT, nullable=True),
        sa.Column("pass_back_attempts", sa.Integer(), server_default="0", nullable=False),
    ),
    "platforms": (
        sa.Column("scores_paused_until", MOMENT, nullable=True),
        sa.Column("scores_failures", sa.Integer(), server_default="0", nullable=False),
    ),
}


def upgrade() -> None:
    for table, columns in NEW.items():
        for column in columns:
            op.add_column(table, column)
    versions = sa.table(
        "rule_versions", sa.column("criteria", sa.Text()), sa.column("builds_on", sa.Boolean())
    )
    op.execute(
        versions.update()
        .where(sa.cast(versions.c.criteria, sa.Text()).like('%"badge_held"%'))
        .values(builds_on=sa.true())
    )
    # A refused login used to put its awards off for ever: the backend's own pause is enough.
    far = sa.bindparam("far", datetime(9000, 1, 1, tzinfo=UTC), type_=MOMENT)
    op.execute(
        sa.text(
            "UPDATE awards SET next_attempt_at = created_at WHERE next_attempt_at > :far"
        ).bindparams(far)
    )
    with op.batch_alter_table("awards") as batch_op:
        batch_op.create_index("ix_awards_passed_back", ["passed_back", "pass_back_at"])


def downgrade() -> None:
    op.drop_index("ix_awards_passed_back", table_name="awards")
    for table, columns in NEW.items():
        with op.batch_alter_table(table) as batch_op:
            for column in columns:
                batch_op.drop_column(column.name)
