"""Who writes the records of an entity in a company at the moment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "sync_writers",
        sa.Column("entity", sa.String(40), nullable=False),
        sa.Column("company", sa.String(10), nullable=False),
        sa.Column("writer", sa.String(200), nullable=False),
        sa.Column("until", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("entity", "company"),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_table("sync_writers")
