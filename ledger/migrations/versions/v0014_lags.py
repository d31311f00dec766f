"""How long changes took from one system to the other."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "lags",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("company", sa.String(10), nullable=False),
        sa.Column("entity", sa.String(40), nullable=False),
        sa.Column("direction", sa.String(10), nullable=False),
        sa.Column("bucket", sa.Integer, nullable=False),
        sa.Column("changes", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("day", "company", "entity", "direction", "bucket"),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_table("lags")
