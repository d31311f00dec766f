"""What a sync has looked at, what was agreed, and what could not be applied."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the tables."""
    _of_records()
    _of_letters()


def _of_records() -> None:
    op.create_table(
        "sync_cursors",
        sa.Column("entity", sa.String(40), nullable=False),
        sa.Column("company", sa.String(10), nullable=False),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("entity", "company", "source"),
    )
    op.create_table(
        "sync_records",
        sa.Column("entity", sa.String(40), nullable=False),
        sa.Column("company", sa.String(10), nullable=False),
        sa.Column("key", sa.String(400), nullable=False),
        sa.Column("sales_id", sa.String(40), nullable=False),
        sa.Column("paired", sa.Boolean, nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("sales_version", sa.BigInteger, nullable=False),
        sa.Column("finance_hash", sa.String(64), nullable=False),
        sa.Column("finance_at", sa.String(40), nullable=False),
        sa.Column("finance_looks", sa.Integer, nullable=False),
        sa.Column("in_sales", sa.Integer, nullable=False),
        sa.Column("in_finance", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("entity", "company", "key"),
    )
    op.create_index("sync_records_by_row", "sync_records", ["entity", "company", "sales_id"])
    op.create_table(
        "sync_pending",
        sa.Column("entity", sa.String(40), nullable=False),
        sa.Column("company", sa.String(10), nullable=False),
        sa.Column("key", sa.String(400), nullable=False),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("changed_at", sa.String(40), nullable=False),
        sa.Column("seen_at", sa.String(27), nullable=False),
        sa.Column("next_at", sa.String(27), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.Column("anew", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("entity", "company", "key"),
    )
    op.create_index("sync_pending_due", "sync_pending", ["entity", "company", "next_at"])


def _of_letters() -> None:
    op.create_table(
        "sync_letters",
        sa.Column("letter_id", sa.String(12), primary_key=True),
        sa.Column("entity", sa.String(40), nullable=False),
        sa.Column("company", sa.String(10), nullable=False),
        sa.Column("key", sa.String(400), nullable=False),
        sa.Column("sales_id", sa.String(40), nullable=False),
        sa.Column("field", sa.String(60), nullable=False),
        sa.Column("cause", sa.String(30), nullable=False),
        sa.Column("reason", sa.String(12), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("finance_value", sa.Text, nullable=False),
        sa.Column("sales_value", sa.Text, nullable=False),
        sa.Column("pii", sa.Boolean, nullable=False),
        sa.Column("status", sa.String(12), nullable=False),
        sa.Column("seen", sa.Integer, nullable=False),
        sa.Column("first_at", sa.String(27), nullable=False),
        sa.Column("last_at", sa.String(27), nullable=False),
        sa.Column("proposed", sa.Text, nullable=True),
        sa.Column("proposed_by", sa.String(200), nullable=False),
        sa.Column("replay", sa.String(200), nullable=False),
        sa.Column("ended_by", sa.String(200), nullable=False),
        sa.Column("ended_at", sa.String(27), nullable=False),
    )
    op.create_index("sync_letters_by_status", "sync_letters", ["entity", "company", "status", "reason"])
    op.create_index("sync_letters_by_key", "sync_letters", ["entity", "company", "key"])
    op.create_index("sync_letters_by_replay", "sync_letters", ["replay"])


def downgrade() -> None:
    """Remove them."""
    op.drop_table("sync_letters")
    op.drop_table("sync_pending")
    op.drop_table("sync_records")
    op.drop_table("sync_cursors")
