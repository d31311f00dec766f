"""What people settle of differences; customers that may be one, what was decided, and the cross-reference."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_SETTLED = ("resolved_by", 200), ("resolved_name", 400), ("settled_id", 100)


def upgrade() -> None:
    """Make the tables and columns."""
    for name, length in _SETTLED:
        op.add_column("differences", sa.Column(name, sa.String(length), nullable=False, server_default=""))
    op.add_column("differences", sa.Column("reason", sa.Text, nullable=False, server_default=""))
    _make_clusters()
    _make_decisions()


def _make_clusters() -> None:
    op.create_table(
        "match_clusters",
        sa.Column("cluster_id", sa.String(64), primary_key=True),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("needs_two", sa.Boolean, nullable=False),
        sa.Column("customers", sa.Integer, nullable=False),
        sa.Column("name", sa.String(400), nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("first_seen_at", sa.String(27), nullable=False),
        sa.Column("last_seen_at", sa.String(27), nullable=False),
        sa.Column("last_run", sa.String(100), nullable=False),
        sa.Column("decision_id", sa.String(100), nullable=False),
    )
    op.create_index("match_clusters_listed", "match_clusters", ["status", "score", "cluster_id"])
    op.create_table(
        "match_companies",
        sa.Column("cluster_id", sa.String(64), sa.ForeignKey("match_clusters.cluster_id"), nullable=False),
        sa.Column("company", sa.String(10), nullable=False),
        sa.PrimaryKeyConstraint("cluster_id", "company"),
    )
    op.create_table(
        "match_runs",
        sa.Column("run_id", sa.String(100), primary_key=True),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("ended_at", sa.String(27), nullable=False),
        sa.Column("figures", sa.Text, nullable=False),
    )


def _make_decisions() -> None:
    op.create_table(
        "match_decisions",
        sa.Column("decision_id", sa.String(100), primary_key=True),
        sa.Column("cluster_id", sa.String(64), sa.ForeignKey("match_clusters.cluster_id"), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("said", sa.String(10), nullable=False),
        sa.Column("chosen", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("by", sa.String(200), nullable=False),
        sa.Column("by_name", sa.String(400), nullable=False),
        sa.Column("proof", sa.Text, nullable=False),
        sa.Column("second_id", sa.String(100), nullable=False),
        sa.Column("second_at", sa.String(27), nullable=False),
        sa.Column("second_by", sa.String(200), nullable=False),
        sa.Column("second_name", sa.String(400), nullable=False),
        sa.Column("second_why", sa.Text, nullable=False),
        sa.Column("second_proof", sa.Text, nullable=False),
        sa.Column("end_id", sa.String(100), nullable=False),
        sa.Column("ended_at", sa.String(27), nullable=False),
        sa.Column("ended_by", sa.String(200), nullable=False),
        sa.Column("ended_name", sa.String(400), nullable=False),
        sa.Column("end_why", sa.Text, nullable=False),
        sa.Column("end_proof", sa.Text, nullable=False),
    )
    op.create_index("match_decisions_of", "match_decisions", ["cluster_id", "at"])
    op.create_table(
        "match_pairs",
        sa.Column("decision_id", sa.String(100), sa.ForeignKey("match_decisions.decision_id"), nullable=False),
        sa.Column("one", sa.String(200), nullable=False),
        sa.Column("other", sa.String(200), nullable=False),
        sa.Column("same", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("decision_id", "one", "other"),
    )
    op.create_table(
        "cross_reference",
        sa.Column("decision_id", sa.String(100), sa.ForeignKey("match_decisions.decision_id"), nullable=False),
        sa.Column("account", sa.String(40), nullable=False),
        sa.Column("company", sa.String(10), nullable=False),
        sa.Column("number", sa.String(60), nullable=False),
        sa.Column("since", sa.String(27), nullable=False),
        sa.Column("until", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("decision_id", "account", "company"),
    )
    op.create_index("cross_reference_in_force", "cross_reference", ["until", "company", "account"])


def downgrade() -> None:
    """Remove them."""
    for table in (
        "cross_reference",
        "match_pairs",
        "match_decisions",
        "match_runs",
        "match_companies",
        "match_clusters",
    ):
        op.drop_table(table)
    for name in ("resolved_by", "resolved_name", "settled_id", "reason"):
        op.drop_column("differences", name)
