"""Dry runs of initial syncs, and what the activation gate said of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "dry_runs",
        sa.Column("run_id", sa.String(100), primary_key=True),
        sa.Column("entity", sa.String(40), nullable=False),
        sa.Column("company", sa.String(10), nullable=False),
        sa.Column("map_hash", sa.String(64), nullable=False),
        sa.Column("plan_hash", sa.String(64), nullable=False),
        sa.Column("began_at", sa.String(27), nullable=False),
        sa.Column("ended_at", sa.String(27), nullable=False),
        sa.Column("figures", sa.Text, nullable=False),
    )
    op.create_index("dry_runs_by_entity", "dry_runs", ["entity", "company", "ended_at"])
    op.create_table(
        "gate_verdicts",
        sa.Column("verdict_id", sa.String(32), primary_key=True),
        sa.Column("entity", sa.String(40), nullable=False),
        sa.Column("company", sa.String(10), nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("allowed", sa.Boolean, nullable=False),
        sa.Column("run_id", sa.String(100), nullable=False),
        sa.Column("map_hash", sa.String(64), nullable=False),
        sa.Column("plan_hash", sa.String(64), nullable=False),
        sa.Column("quality_hash", sa.String(64), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
    )
    op.create_index("gate_verdicts_by_entity", "gate_verdicts", ["entity", "company", "at"])


def downgrade() -> None:
    """Remove them."""
    op.drop_table("gate_verdicts")
    op.drop_table("dry_runs")
