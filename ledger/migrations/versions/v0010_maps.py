"""Versions of maps, what is proposed, who approved it, and the records that plans are counted over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "map_versions",
        sa.Column("entity", sa.String(40), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("proposal_id", sa.String(100), nullable=False),
        sa.Column("since", sa.String(27), nullable=False),
        sa.Column("until", sa.String(27), nullable=False),
        sa.Column("message_id", sa.String(100), nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("by_name", sa.String(400), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("proof", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("entity", "version"),
    )
    op.create_table(
        "map_proposals",
        sa.Column("proposal_id", sa.String(100), primary_key=True),
        sa.Column("entity", sa.String(40), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("by_name", sa.String(400), nullable=False),
        sa.Column("proof", sa.Text, nullable=False),
        sa.Column("end_id", sa.String(100), nullable=False),
        sa.Column("ended_at", sa.String(27), nullable=False),
        sa.Column("ended_by", sa.String(200), nullable=False),
        sa.Column("ended_name", sa.String(400), nullable=False),
        sa.Column("end_why", sa.Text, nullable=False),
        sa.Column("end_proof", sa.Text, nullable=False),
        sa.UniqueConstraint("entity", "number"),
    )
    _make_approvals()


def _make_approvals() -> None:
    op.create_table(
        "map_approvals",
        sa.Column("message_id", sa.String(100), primary_key=True),
        sa.Column("proposal_id", sa.String(100), sa.ForeignKey("map_proposals.proposal_id"), nullable=False),
        sa.Column("plan_hash", sa.String(64), nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("by_name", sa.String(400), nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("proof", sa.Text, nullable=False),
    )
    op.create_index("ix_map_approvals_proposal_id", "map_approvals", ["proposal_id"])
    op.create_table(
        "kept_records",
        sa.Column("entity", sa.String(40), nullable=False),
        sa.Column("company", sa.String(10), nullable=False),
        sa.Column("run_id", sa.String(100), nullable=False),
        sa.Column("map_hash", sa.String(64), nullable=False),
        sa.Column("finance_sha256", sa.String(64), nullable=False),
        sa.Column("sales_sha256", sa.String(64), nullable=False),
        sa.Column("finance_records", sa.Integer, nullable=False),
        sa.Column("sales_records", sa.Integer, nullable=False),
        sa.Column("kept_at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("entity", "company"),
    )


def downgrade() -> None:
    """Remove them."""
    for table in ("kept_records", "map_approvals", "map_proposals", "map_versions"):
        op.drop_table(table)
