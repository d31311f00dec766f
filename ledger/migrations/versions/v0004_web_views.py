"""Lists as people keep them in the web application."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "web_views",
        sa.Column("owner", sa.String(200), nullable=False),
        sa.Column("list", sa.String(20), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("owner", "list"),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_table("web_views")
