"""The tables of maps: versions, what is proposed, who approved it, records that plans are counted over, and changes."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from ledger.tables import metadata

MAP_VERSIONS: Final = Table(
    "map_versions",
    metadata,
    Column("entity", String(40), nullable=False),
    Column("version", Integer, nullable=False, comment="0: as the file said when it was first read"),
    Column("kind", String(10), nullable=False, comment="file, change or rollback"),
    Column("hash", String(64), nullable=False, comment="of the map"),
    Column("content", Text, nullable=False, comment="the map, as JSON"),
    Column("proposal_id", String(100), nullable=False, comment="empty: none"),
    Column("since", String(27), nullable=False, comment="ISO 8601, UTC"),
    Column("until", String(27), nullable=False, comment="empty: in force"),
    Column("message_id", String(100), nullable=False),
    Column("by", String(200), nullable=False, comment="Entra object id, lower case; empty: a file, or erased"),
    Column("by_name", String(400), nullable=False),
    Column("why", Text, nullable=False),
    Column("proof", Text, nullable=False, comment="the signed message; empty once erased"),
    PrimaryKeyConstraint("entity", "version"),
)
"""Every version of each map; one of them is in force."""

MAP_PROPOSALS: Final = Table(
    "map_proposals",
    metadata,
    Column("proposal_id", String(100), primary_key=True, comment="id of the message that made it"),
    Column("entity", String(40), nullable=False),
    Column("number", Integer, nullable=False),
    Column("status", String(10), nullable=False),
    Column("content", Text, nullable=False, comment="the proposed map, as JSON"),
    Column("plan", Text, nullable=False, comment="as JSON; empty: none yet"),
    Column("why", Text, nullable=False),
    Column("at", String(27), nullable=False),
    Column("by", String(200), nullable=False, comment="Entra object id, lower case; empty once erased"),
    Column("by_name", String(400), nullable=False),
    Column("proof", Text, nullable=False),
    Column("end_id", String(100), nullable=False, comment="message of who refused, withdrew or activated it"),
    Column("ended_at", String(27), nullable=False),
    Column("ended_by", String(200), nullable=False),
    Column("ended_name", String(400), nullable=False),
    Column("end_why", Text, nullable=False),
    Column("end_proof", Text, nullable=False),
    UniqueConstraint("entity", "number"),
)
"""Maps that people proposed."""

MAP_APPROVALS: Final = Table(
    "map_approvals",
    metadata,
    Column("message_id", String(100), primary_key=True),
    Column("proposal_id", String(100), ForeignKey("map_proposals.proposal_id"), nullable=False, index=True),
    Column("plan_hash", String(64), nullable=False, comment="of the plan that was approved"),
    Column("at", String(27), nullable=False),
    Column("by", String(200), nullable=False),
    Column("by_name", String(400), nullable=False),
    Column("roles", Text, nullable=False, comment="held in every company, as JSON"),
    Column("why", Text, nullable=False),
    Column("proof", Text, nullable=False),
)
"""Who approved which plan."""

KEPT_RECORDS: Final = Table(
    "kept_records",
    metadata,
    Column("entity", String(40), nullable=False),
    Column("company", String(10), nullable=False),
    Column("run_id", String(100), nullable=False, comment="comparison that read them"),
    Column("map_hash", String(64), nullable=False),
    Column("finance_sha256", String(64), nullable=False, comment="of the file"),
    Column("sales_sha256", String(64), nullable=False),
    Column("finance_records", Integer, nullable=False),
    Column("sales_records", Integer, nullable=False),
    Column("kept_at", String(27), nullable=False),
    PrimaryKeyConstraint("entity", "company"),
)
"""The newest records of each entity and company that a comparison kept in the folder of data."""

MAP_CHANGES: Final = Table(
    "map_changes",
    metadata,
    Column("change_id", String(100), primary_key=True, comment="id of the message that activated it"),
    Column("proposal_id", String(100), ForeignKey("map_proposals.proposal_id"), nullable=False, index=True),
    Column("entity", String(40), nullable=False),
    Column("number", Integer, nullable=False),
    Column("status", String(12), nullable=False),
    Column("base_hash", String(64), nullable=False),
    Column("proposed_hash", String(64), nullable=False),
    Column("moved", Text, nullable=False, comment="fields whose values it moves, as JSON"),
    Column("text", Text, nullable=False, comment="why it was stopped, or what was not tried"),
    Column("begun_at", String(27), nullable=False),
    Column("ended_at", String(27), nullable=False, comment="empty: it is tried, or in force"),
)
"""Approved maps that somebody activated: tried, in force, stopped or taken back."""

MAP_LOOKS: Final = Table(
    "map_looks",
    metadata,
    Column("change_id", String(100), ForeignKey("map_changes.change_id"), nullable=False),
    Column("company", String(10), nullable=False),
    Column("key", String(400), nullable=False, comment="without the company, in capitals"),
    Column("entity", String(40), nullable=False),
    Column("step", String(10), nullable=False, comment="read, canary or apply"),
    Column("status", String(10), nullable=False, comment="what came of it"),
    Column("back", String(10), nullable=False, comment="what came of taking it back; empty: it was not"),
    Column("text", Text, nullable=False),
    Column("waits", Boolean, nullable=False, comment="the sync is to look at it"),
    Column("next_at", String(27), nullable=False, comment="when it is looked at"),
    Column("tries", Integer, nullable=False),
    PrimaryKeyConstraint("change_id", "company", "key"),
    Index("map_looks_due", "entity", "company", "waits", "next_at"),
)
"""Records that a change hits: looked at by their sync, and again where the change is taken back."""

BEFORE_IMAGES: Final = Table(
    "before_images",
    metadata,
    Column("change_id", String(100), ForeignKey("map_changes.change_id"), nullable=False),
    Column("company", String(10), nullable=False),
    Column("key", String(400), nullable=False),
    Column("side", String(10), nullable=False),
    Column("field", String(60), nullable=False),
    Column("before", Text, nullable=False, comment="empty once it is settled or has expired"),
    Column("after", Text, nullable=False, comment="what the change wrote"),
    Column("status", String(10), nullable=False),
    Column("sales_version", BigInteger, nullable=False, comment="of the row, as it was read last"),
    Column("finance_version", String(200), nullable=False, comment="of the record, as it was read last"),
    Column("map_hash", String(64), nullable=False, comment="of the map that wrote it"),
    Column("pii", Boolean, nullable=False),
    Column("at", String(27), nullable=False),
    PrimaryKeyConstraint("change_id", "company", "key", "side", "field"),
    Index("before_images_by_age", "status", "at"),
)
"""Values as they were before a change of a map wrote others."""
