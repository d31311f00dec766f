"""Which rows of Sales a sync has deactivated: those it activates again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column."""
    op.add_column("sync_records", sa.Column("deactivated", sa.Boolean, nullable=False, server_default=sa.false()))
    with op.batch_alter_table("sync_records") as table:
        table.alter_column("deactivated", server_default=None)


def downgrade() -> None:
    """Remove it."""
    with op.batch_alter_table("sync_records") as table:
        table.drop_column("deactivated")
