"""Lists of the audit by kind, by person and by event, newest first."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

_BY = {"kind": "kind", "actor": "actor_id", "event": "event"}


def upgrade() -> None:
    """Make the indexes."""
    for name, column in _BY.items():
        op.create_index(f"audit_records_by_{name}", "audit_records", ["company", column, "seq"])


def downgrade() -> None:
    """Remove them."""
    for name in _BY:
        op.drop_index(f"audit_records_by_{name}", "audit_records")
