"""The audit: people, chains, records, words, checkpoints, and triggers that keep records from being changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TIME = sa.String(27)
_HASH = sa.String(64)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "audit_people",
        sa.Column("person_id", sa.String(32), primary_key=True),
        sa.Column("oid", sa.String(200), unique=True, nullable=True),
        sa.Column("name", sa.String(400), nullable=False),
        sa.Column("upn", sa.String(400), nullable=False),
        sa.Column("salt", sa.String(32), nullable=True),
        sa.Column("erased_at", _TIME, nullable=True),
    )
    op.create_table(
        "audit_chains",
        sa.Column("company", sa.String(200), primary_key=True),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("hash", _HASH, nullable=False),
        sa.Column("last_at", _TIME, nullable=False),
        sa.Column("pruned_seq", sa.Integer, nullable=False),
        sa.Column("pruned_hash", _HASH, nullable=False),
    )
    op.create_table(
        "audit_records",
        sa.Column("company", sa.String(200), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("record_id", sa.String(700), nullable=False, unique=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("event", sa.String(200), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("recorded_at", _TIME, nullable=False),
        sa.Column("deal_id", sa.String(400), nullable=False),
        sa.Column("actor_id", sa.String(32), sa.ForeignKey("audit_people.person_id"), nullable=False),
        sa.Column("actor_seal", _HASH, nullable=False),
        sa.Column("words_seal", _HASH, nullable=False),
        *(
            sa.Column(name, sa.String(200), nullable=False)
            for name in ("before", "after", "code", "policy_version", "envelope_id", "envelope_hash")
        ),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("prev_hash", _HASH, nullable=False),
        sa.Column("hash", _HASH, nullable=False),
        sa.PrimaryKeyConstraint("company", "seq"),
    )
    op.create_index("audit_records_by_deal", "audit_records", ["deal_id", "seq"])
    op.create_index("audit_records_by_time", "audit_records", ["company", "recorded_at"])
    _make_words_and_checkpoints()
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)


def _make_words_and_checkpoints() -> None:
    op.create_table(
        "audit_words",
        sa.Column("company", sa.String(200), nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("salt", sa.String(32), nullable=True),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("company", "seq"),
    )
    op.create_table(
        "audit_checkpoints",
        sa.Column("company", sa.String(200), nullable=False),
        sa.Column("through_seq", sa.Integer, nullable=False),
        sa.Column("from_seq", sa.Integer, nullable=False),
        sa.Column("first_at", _TIME, nullable=False),
        sa.Column("last_at", _TIME, nullable=False),
        sa.Column("prev_hash", _HASH, nullable=False),
        sa.Column("last_hash", _HASH, nullable=False),
        sa.Column("made_at", _TIME, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("company", "through_seq"),
    )


# A mistake must not change a record: only what retention wrote down as removed may go.
_SQLITE = (
    "CREATE TRIGGER audit_records_keep BEFORE UPDATE ON audit_records "
    "BEGIN SELECT RAISE(ABORT, 'audit records are never changed'); END",
    "CREATE TRIGGER audit_records_stay BEFORE DELETE ON audit_records "
    "WHEN OLD.seq > (SELECT pruned_seq FROM audit_chains WHERE company = OLD.company) "
    "BEGIN SELECT RAISE(ABORT, 'audit records are removed by retention only'); END",
)
_POSTGRESQL = (
    "CREATE FUNCTION audit_records_keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "RAISE EXCEPTION 'audit records are never changed'; END $$",
    "CREATE TRIGGER audit_records_keep BEFORE UPDATE ON audit_records "
    "FOR EACH ROW EXECUTE FUNCTION audit_records_keep()",
    "CREATE FUNCTION audit_records_stay() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "IF OLD.seq > (SELECT pruned_seq FROM audit_chains WHERE company = OLD.company) THEN "
    "RAISE EXCEPTION 'audit records are removed by retention only'; END IF; RETURN OLD; END $$",
    "CREATE TRIGGER audit_records_stay BEFORE DELETE ON audit_records "
    "FOR EACH ROW EXECUTE FUNCTION audit_records_stay()",
)
