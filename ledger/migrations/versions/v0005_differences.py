"""What comparisons of both systems found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "comparisons",
        sa.Column("run_id", sa.String(100), primary_key=True),
        sa.Column("entity", sa.String(40), nullable=False),
        sa.Column("company", sa.String(10), nullable=False),
        sa.Column("map_hash", sa.String(64), nullable=False),
        sa.Column("began_at", sa.String(27), nullable=False),
        sa.Column("ended_at", sa.String(27), nullable=False),
        sa.Column("whole", sa.Boolean, nullable=False),
        sa.Column("figures", sa.Text, nullable=False),
    )
    op.create_index("comparisons_by_entity", "comparisons", ["entity", "company", "ended_at"])
    op.create_table(
        "differences",
        sa.Column("difference_id", sa.String(64), primary_key=True),
        sa.Column("entity", sa.String(40), nullable=False),
        sa.Column("company", sa.String(10), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("key", sa.String(400), nullable=False),
        sa.Column("field", sa.String(60), nullable=False),
        sa.Column("lacking", sa.String(10), nullable=False),
        sa.Column("finance_value", sa.Text, nullable=False),
        sa.Column("sales_value", sa.Text, nullable=False),
        sa.Column("sales_ids", sa.Text, nullable=False),
        sa.Column("owner", sa.String(10), nullable=False),
        sa.Column("pii", sa.Boolean, nullable=False),
        sa.Column("first_seen_at", sa.String(27), nullable=False),
        sa.Column("last_seen_at", sa.String(27), nullable=False),
        sa.Column("last_run", sa.String(100), nullable=False),
        sa.Column("resolution", sa.String(20), nullable=False),
        sa.Column("resolved_at", sa.String(27), nullable=False),
    )
    op.create_index("differences_open", "differences", ["entity", "company", "resolution", "key", "field"])


def downgrade() -> None:
    """Remove them."""
    op.drop_table("differences")
    op.drop_table("comparisons")
