"""What would have been decided about quotes of companies in shadow mode."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "shadow_looks",
        sa.Column("company", sa.String(10), nullable=False),
        sa.Column("quote", sa.String(200), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("moment", sa.String(20), nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("company", "quote", "revision", "moment"),
    )
    op.create_index("shadow_looks_by_time", "shadow_looks", ["company", "at"])


def downgrade() -> None:
    """Remove it."""
    op.drop_table("shadow_looks")
