"""Institutions, persons, admins, consent; what is there belongs to the default institution."""

import sqlalchemy as sa
from alembic import op

from lti_badges.store.base import UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

DEFAULT = "00000000-0000-4000-8000-000000000001"
OWNED = ("courses", "backends", "achievements", "invitations")


def upgrade() -> None:
    _new_tables()
    institutions = sa.table(
        "institutions",
        sa.column("id", sa.String),
        sa.column("name", sa.String),
        sa.column("profile", sa.JSON),
        sa.column("branding", sa.JSON),
        sa.column("settings", sa.JSON),
        sa.column("created_at", UtcDateTime(timezone=True)),
    )
    from lti_badges.core import clock  # noqa: PLC0415

    op.bulk_insert(
        institutions,
        [
            {
                "id": DEFAULT,
                "name": "default",
                "profile": {},
                "branding": {},
                "settings": {},
                "created_at": clock.now(),
            }
        ],
    )
    _owners()
    _columns()


def _new_tables() -> None:
    op.create_table(
        "institutions",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("profile", sa.JSON(), nullable=False),
        sa.Column("branding", sa.JSON(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("logo", sa.LargeBinary()),
        sa.Column("logo_type", sa.String(40)),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_institutions"),
        sa.UniqueConstraint("name", name="uq_institutions_name"),
    )
    op.create_table(
        "shares",
        sa.Column("institution_id", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("item_id", sa.String(36), nullable=False),
        _foreign("shares", "institution_id", "institutions", "CASCADE"),
        sa.PrimaryKeyConstraint("institution_id", "kind", "item_id", name="pk_shares"),
    )
    op.create_table(
        "role_permissions",
        sa.Column("institution_id", sa.String(36), nullable=False),
        sa.Column("role", sa.String(100), nullable=False),
        sa.Column("permissions", sa.JSON(), nullable=False),
        _foreign("role_permissions", "institution_id", "institutions", "CASCADE"),
        sa.PrimaryKeyConstraint("institution_id", "role", name="pk_role_permissions"),
    )
    _admin_tables()
    op.create_table(
        "people",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("institution_id", sa.String(36), nullable=False),
        sa.Column("platform_id", sa.String(36), nullable=False),
        sa.Column("sub", sa.String(255), nullable=False),
        sa.Column("name", sa.String(500)),
        sa.Column("email", sa.String(320)),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("erased_at", UtcDateTime(timezone=True)),
        _foreign("people", "institution_id", "institutions", "RESTRICT"),
        _foreign("people", "platform_id", "platforms", "CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_people"),
        sa.UniqueConstraint(
            "institution_id", "platform_id", "sub", name="uq_people_institution_id_platform_id_sub"
        ),
    )
    op.create_index("ix_people_email", "people", ["email"])
    op.create_table(
        "consents",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("person_id", sa.String(36), nullable=False),
        sa.Column("backend_id", sa.String(36), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("recipient", sa.String(255), nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.Column("wording", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(timezone=True), nullable=False),
        _foreign("consents", "person_id", "people", "CASCADE"),
        _foreign("consents", "backend_id", "backends", "CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_consents"),
    )
    op.create_index("ix_consents_person_id_backend_id", "consents", ["person_id", "backend_id"])
    op.create_table(
        "platform_changes",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("platform_id", sa.String(36), nullable=False),
        sa.Column("institution_id", sa.String(36), nullable=False),
        sa.Column("proposed", sa.JSON(), nullable=False),
        sa.Column("deployment_id", sa.String(255)),
        sa.Column("source", sa.String(500), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("decided_at", UtcDateTime(timezone=True)),
        sa.Column("decided_by", sa.String(255)),
        sa.Column("decision", sa.String(20)),
        _foreign("platform_changes", "platform_id", "platforms", "CASCADE"),
        _foreign("platform_changes", "institution_id", "institutions", "CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_platform_changes"),
    )


def _admin_tables() -> None:
    op.create_table(
        "admins",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("institution_id", sa.String(36)),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("email", sa.String(320)),
        sa.Column("subject", sa.String(600)),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("removed_at", UtcDateTime(timezone=True)),
        _foreign("admins", "institution_id", "institutions", "CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_admins"),
        sa.UniqueConstraint("subject", name="uq_admins_subject"),
    )
    op.create_index("ix_admins_institution_id", "admins", ["institution_id"])
    op.create_table(
        "admin_links",
        sa.Column("secret_hash", sa.String(64), nullable=False),
        sa.Column("admin_id", sa.String(36)),
        sa.Column("expires_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("used_at", UtcDateTime(timezone=True)),
        _foreign("admin_links", "admin_id", "admins", "CASCADE"),
        sa.PrimaryKeyConstraint("secret_hash", name="pk_admin_links"),
    )
    op.create_table(
        "admin_sessions",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("admin_id", sa.String(36), nullable=False),
        sa.Column("way", sa.String(20), nullable=False),
        sa.Column("address", sa.String(80), nullable=False),
        sa.Column("browser", sa.String(255), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("seen_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("ended_at", UtcDateTime(timezone=True)),
        _foreign("admin_sessions", "admin_id", "admins", "CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_admin_sessions"),
        sa.UniqueConstraint("token_hash", name="uq_admin_sessions_token_hash"),
    )
    op.create_index("ix_admin_sessions_admin_id", "admin_sessions", ["admin_id"])


def _owners() -> None:
    """Rows there are, and rows that an older version of the tool still writes meanwhile, belong to
    the default institution."""
    for table in OWNED:
        delete = "CASCADE" if table == "invitations" else "RESTRICT"
        with op.batch_alter_table(table) as batch_op:
            batch_op.add_column(
                sa.Column("institution_id", sa.String(36), nullable=False, server_default=DEFAULT)
            )
            batch_op.create_foreign_key(
                f"fk_{table}_institution_id_institutions",
                "institutions",
                ["institution_id"],
                ["id"],
                ondelete=delete,
            )
            if table == "backends":
                batch_op.drop_constraint("uq_backends_name", type_="unique")
                batch_op.create_unique_constraint(
                    "uq_backends_institution_id_name", ["institution_id", "name"]
                )
    for table in ("platforms", "deployments"):
        with op.batch_alter_table(table) as batch_op:
            batch_op.add_column(
                sa.Column("institution_id", sa.String(36), nullable=True, server_default=DEFAULT)
            )
            batch_op.create_foreign_key(
                f"fk_{table}_institution_id_institutions",
                "institutions",
                ["institution_id"],
                ["id"],
                ondelete="RESTRICT",
            )
    for table in ("courses", "achievements", "deployments"):
        op.create_index(f"ix_{table}_institution_id", table, ["institution_id"])


def _columns() -> None:
    with op.batch_alter_table("platforms") as batch_op:
        batch_op.add_column(
            sa.Column("admits_admins", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(sa.Column("archived_at", UtcDateTime(timezone=True)))
    with op.batch_alter_table("members") as batch_op:
        batch_op.add_column(sa.Column("person_id", sa.String(36)))
        batch_op.add_column(sa.Column("permissions", sa.JSON()))
        batch_op.add_column(sa.Column("tokens_from", UtcDateTime(timezone=True)))
        batch_op.create_foreign_key(
            "fk_members_person_id_people", "people", ["person_id"], ["id"], ondelete="SET NULL"
        )
    op.create_index("ix_members_person_id", "members", ["person_id"])
    with op.batch_alter_table("backends") as batch_op:
        batch_op.add_column(
            sa.Column("consent", sa.String(10), server_default="none", nullable=False)
        )
    with op.batch_alter_table("rule_versions") as batch_op:
        batch_op.add_column(
            sa.Column("may_show_result", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
    with op.batch_alter_table("awards") as batch_op:
        batch_op.add_column(
            sa.Column("visibility", sa.String(10), server_default="link", nullable=False)
        )
        for name in ("shows_name", "shows_result"):
            batch_op.add_column(
                sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False)
            )
        batch_op.add_column(sa.Column("declined_at", UtcDateTime(timezone=True)))
    with op.batch_alter_table("audit_events") as batch_op:
        batch_op.add_column(sa.Column("institution_id", sa.String(36)))
        batch_op.add_column(sa.Column("address", sa.String(80)))
    op.create_index("ix_audit_events_institution_id_id", "audit_events", ["institution_id", "id"])
    op.execute(f"UPDATE audit_events SET institution_id = '{DEFAULT}'")  # noqa: S608
    op.execute(
        "INSERT INTO people (id, institution_id, platform_id, sub, name, email, created_at) "  # noqa: S608
        f"SELECT MIN(m.id), '{DEFAULT}', d.platform_id, m.sub, MAX(m.name), MAX(m.email), "
        "MIN(c.created_at) FROM members m JOIN courses c ON c.id = m.course_id "
        "JOIN deployments d ON d.id = c.deployment_id GROUP BY d.platform_id, m.sub"
    )
    op.execute(
        "UPDATE members SET person_id = (SELECT p.id FROM people p, courses c, deployments d "
        "WHERE c.id = members.course_id AND d.id = c.deployment_id "
        "AND p.platform_id = d.platform_id AND p.sub = members.sub)"
    )


def _foreign(table: str, column: str, to: str, ondelete: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{to}.id"], name=f"fk_{table}_{column}_{to}", ondelete=ondelete
    )


def downgrade() -> None:
    op.drop_index("ix_audit_events_institution_id_id", "audit_events")
    op.drop_index("ix_members_person_id", "members")
    for table in ("courses", "achievements", "deployments"):
        op.drop_index(f"ix_{table}_institution_id", table)
    dropped = {
        "audit_events": ("address", "institution_id"),
        "awards": ("declined_at", "shows_result", "shows_name", "visibility"),
        "rule_versions": ("may_show_result",),
        "members": ("tokens_from", "permissions", "person_id"),
        "platforms": ("archived_at", "admits_admins", "institution_id"),
        "deployments": ("institution_id",),
        "courses": ("institution_id",),
        "achievements": ("institution_id",),
        "invitations": ("institution_id",),
        "backends": ("consent", "institution_id"),
    }
    foreign = {"members": "person_id_people"}
    for table, columns in dropped.items():
        with op.batch_alter_table(table) as batch_op:
            if "institution_id" in columns and table != "audit_events":
                batch_op.drop_constraint(
                    f"fk_{table}_institution_id_institutions", type_="foreignkey"
                )
            if table in foreign:
                batch_op.drop_constraint(f"fk_{table}_{foreign[table]}", type_="foreignkey")
            if table == "backends":
                batch_op.drop_constraint("uq_backends_institution_id_name", type_="unique")
                batch_op.create_unique_constraint("uq_backends_name", ["name"])
            for column in columns:
                batch_op.drop_column(column)
    for table in (
        "platform_changes",
        "consents",
        "people",
        "admin_sessions",
        "admin_links",
        "admins",
        "role_permissions",
        "shares",
        "institutions",
    ):
        op.drop_table(table)
