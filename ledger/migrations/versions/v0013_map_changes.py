"""Changes of maps that were activated: the records they hit, and the values before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "map_changes",
        sa.Column("change_id", sa.String(100), primary_key=True),
        sa.Column("proposal_id", sa.String(100), sa.ForeignKey("map_proposals.proposal_id"), nullable=False),
        sa.Column("entity", sa.String(40), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("status", sa.String(12), nullable=False),
        sa.Column("base_hash", sa.String(64), nullable=False),
        sa.Column("proposed_hash", sa.String(64), nullable=False),
        sa.Column("moved", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("begun_at", sa.String(27), nullable=False),
        sa.Column("ended_at", sa.String(27), nullable=False),
    )
    op.create_index("ix_map_changes_proposal_id", "map_changes", ["proposal_id"])
    op.create_table(
        "map_looks",
        sa.Column("change_id", sa.String(100), sa.ForeignKey("map_changes.change_id"), nullable=False),
        sa.Column("company", sa.String(10), nullable=False),
        sa.Column("key", sa.String(400), nullable=False),
        sa.Column("entity", sa.String(40), nullable=False),
        sa.Column("step", sa.String(10), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("back", sa.String(10), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("waits", sa.Boolean, nullable=False),
        sa.Column("next_at", sa.String(27), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("change_id", "company", "key"),
    )
    op.create_index("map_looks_due", "map_looks", ["entity", "company", "waits", "next_at"])
    _make_images()


def _make_images() -> None:
    op.create_table(
        "before_images",
        sa.Column("change_id", sa.String(100), sa.ForeignKey("map_changes.change_id"), nullable=False),
        sa.Column("company", sa.String(10), nullable=False),
        sa.Column("key", sa.String(400), nullable=False),
        sa.Column("side", sa.String(10), nullable=False),
        sa.Column("field", sa.String(60), nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("sales_version", sa.BigInteger, nullable=False),
        sa.Column("finance_version", sa.String(200), nullable=False),
        sa.Column("map_hash", sa.String(64), nullable=False),
        sa.Column("pii", sa.Boolean, nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("change_id", "company", "key", "side", "field"),
    )
    op.create_index("before_images_by_age", "before_images", ["status", "at"])


def downgrade() -> None:
    """Remove them."""
    for table in ("before_images", "map_looks", "map_changes"):
        op.drop_table(table)
