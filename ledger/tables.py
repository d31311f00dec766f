"""The ledger's tables. Migrations in ``ledger/migrations`` make them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

metadata = MetaData()

PEOPLE: Final = Table(
    "audit_people",
    metadata,
    Column("person_id", String(32), primary_key=True),
    Column("oid", String(200), unique=True, nullable=True, comment="Entra object id, lower case; null once erased"),
    Column("name", String(400), nullable=False),
    Column("upn", String(400), nullable=False),
    Column("salt", String(32), nullable=True, comment="null once erased"),
    Column("erased_at", String(27), nullable=True),
)
"""People by a random id. The only place where a record's actor has a name."""

CHAINS: Final = Table(
    "audit_chains",
    metadata,
    Column("company", String(200), primary_key=True),
    Column("seq", Integer, nullable=False, comment="of the last record"),
    Column("hash", String(64), nullable=False, comment="of the last record"),
    Column("last_at", String(27), nullable=False),
    Column("pruned_seq", Integer, nullable=False, comment="records up to here were removed by retention"),
    Column("pruned_hash", String(64), nullable=False),
)
"""The end of each company's chain: the row a writer locks."""

RECORDS: Final = Table(
    "audit_records",
    metadata,
    Column("company", String(200), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("record_id", String(700), nullable=False, unique=True),
    Column("kind", String(20), nullable=False),
    Column("event", String(200), nullable=False),
    Column("at", String(27), nullable=False, comment="when it happened, ISO 8601, UTC"),
    Column("recorded_at", String(27), nullable=False, comment="when it was stored, ISO 8601, UTC; never falls"),
    Column("deal_id", String(400), nullable=False),
    Column("actor_id", String(32), ForeignKey("audit_people.person_id"), nullable=False),
    Column("actor_seal", String(64), nullable=False),
    Column("words_seal", String(64), nullable=False),
    Column("before", String(200), nullable=False),
    Column("after", String(200), nullable=False),
    Column("code", String(200), nullable=False),
    Column("policy_version", String(200), nullable=False),
    Column("envelope_id", String(200), nullable=False),
    Column("envelope_hash", String(200), nullable=False),
    Column("facts", Text, nullable=False, comment="canonical JSON"),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    PrimaryKeyConstraint("company", "seq"),
    Index("audit_records_by_deal", "deal_id", "seq"),
    Index("audit_records_by_time", "company", "recorded_at"),
    Index("audit_records_by_kind", "company", "kind", "seq"),
    Index("audit_records_by_actor", "company", "actor_id", "seq"),
    Index("audit_records_by_event", "company", "event", "seq"),
)
"""The chain. Nothing in it is personal data, and nothing in it is ever changed."""

WORDS: Final = Table(
    "audit_words",
    metadata,
    Column("company", String(200), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("salt", String(32), nullable=True, comment="null once a name in it was erased"),
    Column("what", Text, nullable=False),
    Column("why", Text, nullable=False),
    PrimaryKeyConstraint("company", "seq"),
)
"""The words of a record: free text, in which people may be named."""

CHECKPOINTS: Final = Table(
    "audit_checkpoints",
    metadata,
    Column("company", String(200), nullable=False),
    Column("through_seq", Integer, nullable=False),
    Column("from_seq", Integer, nullable=False),
    Column("first_at", String(27), nullable=False),
    Column("last_at", String(27), nullable=False),
    Column("prev_hash", String(64), nullable=False, comment="of the record before the first one removed"),
    Column("last_hash", String(64), nullable=False, comment="of the last one removed"),
    Column("made_at", String(27), nullable=False),
    Column("signature", Text, nullable=False),
    PrimaryKeyConstraint("company", "through_seq"),
)
"""What retention removed."""


SESSIONS: Final = Table(
    "web_sessions",
    metadata,
    Column("key", String(64), primary_key=True, comment="SHA-256 of what the browser holds"),
    Column("owner", String(64), nullable=False, comment="keyed hash of the person's object id"),
    Column("content", Text, nullable=False, comment="sealed; who holds the database cannot read it"),
    Column("expires_at", Float, nullable=False, comment="seconds since the epoch, UTC"),
    Index("web_sessions_by_owner", "owner"),
)
"""Who is signed in, where the web application keeps its sessions here."""

VIEWS: Final = Table(
    "web_views",
    metadata,
    Column("owner", String(200), nullable=False, comment="Entra object id, lower case"),
    Column("list", String(20), nullable=False),
    Column("content", Text, nullable=False, comment="the person's views of the list, as JSON"),
    PrimaryKeyConstraint("owner", "list"),
)
"""Names that people gave to filters of lists."""

COMPARISONS: Final = Table(
    "comparisons",
    metadata,
    Column("run_id", String(100), primary_key=True),
    Column("entity", String(40), nullable=False),
    Column("company", String(10), nullable=False),
    Column("map_hash", String(64), nullable=False),
    Column("began_at", String(27), nullable=False, comment="ISO 8601, UTC"),
    Column("ended_at", String(27), nullable=False, comment="ISO 8601, UTC"),
    Column("whole", Boolean, nullable=False, comment="all records were compared, not a sample"),
    Column("figures", Text, nullable=False, comment="what was counted, as JSON"),
    Index("comparisons_by_entity", "entity", "company", "ended_at"),
)
"""Comparisons that came to their end."""

DIFFERENCES: Final = Table(
    "differences",
    metadata,
    Column("difference_id", String(64), primary_key=True, comment="SHA-256 of entity, company, key and field"),
    Column("entity", String(40), nullable=False),
    Column("company", String(10), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("key", String(400), nullable=False, comment="of the record, or the id of a row of Sales without one"),
    Column("field", String(60), nullable=False, comment="of the map; empty: the record as a whole"),
    Column("lacking", String(10), nullable=False),
    Column("finance_value", Text, nullable=False),
    Column("sales_value", Text, nullable=False),
    Column("sales_ids", Text, nullable=False),
    Column("owner", String(10), nullable=False, comment="whose value counts"),
    Column("pii", Boolean, nullable=False, comment="the values are personal data: empty once resolved"),
    Column("first_seen_at", String(27), nullable=False, comment="since when it stands, ISO 8601, UTC"),
    Column("last_seen_at", String(27), nullable=False),
    Column("last_run", String(100), nullable=False),
    Column("resolution", String(20), nullable=False, comment="empty: open"),
    Column("resolved_at", String(27), nullable=False),
    Column("resolved_by", String(200), nullable=False, comment="Entra object id; empty: a comparison, or erased"),
    Column("resolved_name", String(400), nullable=False),
    Column("reason", Text, nullable=False, comment="in the words of who settled it"),
    Column("settled_id", String(100), nullable=False, comment="of the message that settled it"),
    Index("differences_open", "entity", "company", "resolution", "key", "field"),
)
"""What is not the same on both sides, each once however often it was seen."""

SHADOW_LOOKS: Final = Table(
    "shadow_looks",
    metadata,
    Column("company", String(10), nullable=False),
    Column("quote", String(200), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("moment", String(20), nullable=False),
    Column("at", String(27), nullable=False, comment="when people did it, ISO 8601, UTC"),
    Column("content", Text, nullable=False, comment="what would have been decided, as JSON"),
    PrimaryKeyConstraint("company", "quote", "revision", "moment"),
    Index("shadow_looks_by_time", "company", "at"),
)
"""What would have been decided about quotes of companies in shadow mode: a row for each moment of a revision."""

MATCH_CLUSTERS: Final = Table(
    "match_clusters",
    metadata,
    Column("cluster_id", String(64), primary_key=True, comment="SHA-256 of its customers"),
    Column("status", String(10), nullable=False),
    Column("needs_two", Boolean, nullable=False),
    Column("customers", Integer, nullable=False),
    Column("name", String(400), nullable=False, comment="of its first customer"),
    Column("score", Float, nullable=False, comment="of its best pair"),
    Column("digest", String(64), nullable=False, comment="of what a decision would come to"),
    Column("content", Text, nullable=False, comment="customers and pairs, as JSON"),
    Column("first_seen_at", String(27), nullable=False, comment="ISO 8601, UTC"),
    Column("last_seen_at", String(27), nullable=False),
    Column("last_run", String(100), nullable=False),
    Column("decision_id", String(100), nullable=False, comment="in force or proposed; empty: none"),
    Index("match_clusters_listed", "status", "score", "cluster_id"),
)
"""Customers that may be one, for people to decide about."""

MATCH_COMPANIES: Final = Table(
    "match_companies",
    metadata,
    Column("cluster_id", String(64), ForeignKey("match_clusters.cluster_id"), nullable=False),
    Column("company", String(10), nullable=False),
    PrimaryKeyConstraint("cluster_id", "company"),
)
"""The companies of each cluster: who may see it may see all of them."""

MATCH_RUNS: Final = Table(
    "match_runs",
    metadata,
    Column("run_id", String(100), primary_key=True),
    Column("model", String(64), nullable=False, comment="hash of the model"),
    Column("ended_at", String(27), nullable=False),
    Column("figures", Text, nullable=False, comment="what was counted, as JSON"),
)
"""Matchings whose clusters were kept."""

MATCH_DECISIONS: Final = Table(
    "match_decisions",
    metadata,
    Column("decision_id", String(100), primary_key=True, comment="id of the message that began it"),
    Column("cluster_id", String(64), ForeignKey("match_clusters.cluster_id"), nullable=False),
    Column("status", String(10), nullable=False, comment="proposed, decided, later, lapsed or ended"),
    Column("said", String(10), nullable=False),
    Column("chosen", Text, nullable=False, comment="the customers that are one, as JSON"),
    Column("why", Text, nullable=False),
    Column("at", String(27), nullable=False),
    Column("by", String(200), nullable=False, comment="Entra object id, lower case; empty once erased"),
    Column("by_name", String(400), nullable=False),
    Column("proof", Text, nullable=False, comment="the signed message; empty once erased"),
    Column("second_id", String(100), nullable=False, comment="message of the second person"),
    Column("second_at", String(27), nullable=False),
    Column("second_by", String(200), nullable=False),
    Column("second_name", String(400), nullable=False),
    Column("second_why", Text, nullable=False),
    Column("second_proof", Text, nullable=False),
    Column("end_id", String(100), nullable=False, comment="message of who took it back"),
    Column("ended_at", String(27), nullable=False),
    Column("ended_by", String(200), nullable=False),
    Column("ended_name", String(400), nullable=False),
    Column("end_why", Text, nullable=False),
    Column("end_proof", Text, nullable=False),
    Index("match_decisions_of", "cluster_id", "at"),
)
"""What people decided about clusters, and who took it back."""

MATCH_PAIRS: Final = Table(
    "match_pairs",
    metadata,
    Column("decision_id", String(100), ForeignKey("match_decisions.decision_id"), nullable=False),
    Column("one", String(200), nullable=False),
    Column("other", String(200), nullable=False),
    Column("same", Boolean, nullable=False),
    PrimaryKeyConstraint("decision_id", "one", "other"),
)
"""What decisions say of each two customers."""

CROSS_REFERENCE: Final = Table(
    "cross_reference",
    metadata,
    Column("decision_id", String(100), ForeignKey("match_decisions.decision_id"), nullable=False),
    Column("account", String(40), nullable=False, comment="id of the row in Sales, lower case"),
    Column("company", String(10), nullable=False),
    Column("number", String(60), nullable=False, comment="account number in Finance"),
    Column("since", String(27), nullable=False),
    Column("until", String(27), nullable=False, comment="empty: in force"),
    PrimaryKeyConstraint("decision_id", "account", "company"),
    Index("cross_reference_in_force", "until", "company", "account"),
)
"""Which account of Sales is which customer of Finance, as people decided."""

DRY_RUNS: Final = Table(
    "dry_runs",
    metadata,
    Column("run_id", String(100), primary_key=True),
    Column("entity", String(40), nullable=False),
    Column("company", String(10), nullable=False),
    Column("map_hash", String(64), nullable=False),
    Column("plan_hash", String(64), nullable=False, comment="SHA-256 over the pages of the plan"),
    Column("began_at", String(27), nullable=False, comment="ISO 8601, UTC"),
    Column("ended_at", String(27), nullable=False, comment="ISO 8601, UTC"),
    Column("figures", Text, nullable=False, comment="what was counted, as JSON"),
    Index("dry_runs_by_entity", "entity", "company", "ended_at"),
)
"""Dry runs of initial syncs that came to their end."""

GATE_VERDICTS: Final = Table(
    "gate_verdicts",
    metadata,
    Column("verdict_id", String(32), primary_key=True),
    Column("entity", String(40), nullable=False),
    Column("company", String(10), nullable=False),
    Column("at", String(27), nullable=False, comment="ISO 8601, UTC"),
    Column("allowed", Boolean, nullable=False),
    Column("run_id", String(100), nullable=False, comment="the dry run; empty: there was none"),
    Column("map_hash", String(64), nullable=False),
    Column("plan_hash", String(64), nullable=False),
    Column("quality_hash", String(64), nullable=False, comment="SHA-256 over the rules, the model and their outcomes"),
    Column("content", Text, nullable=False, comment="the whole verdict with its reasons, as JSON"),
    Index("gate_verdicts_by_entity", "entity", "company", "at"),
)
"""What the activation gate said, each time."""

SYNC_CURSORS: Final = Table(
    "sync_cursors",
    metadata,
    Column("entity", String(40), nullable=False),
    Column("company", String(10), nullable=False),
    Column("source", String(20), nullable=False, comment="sales, finance or sweep"),
    Column("place", Text, nullable=False, comment="where the next look begins, as JSON"),
    PrimaryKeyConstraint("entity", "company", "source"),
)
"""How far a sync has looked."""

SYNC_WRITERS: Final = Table(
    "sync_writers",
    metadata,
    Column("entity", String(40), nullable=False),
    Column("company", String(10), nullable=False),
    Column("writer", String(200), nullable=False, comment="workflow id"),
    Column("until", String(27), nullable=False, comment="when somebody else may, unless it is said again"),
    PrimaryKeyConstraint("entity", "company"),
)
"""What writes records at the moment in place of their sync."""

SYNC_RECORDS: Final = Table(
    "sync_records",
    metadata,
    Column("entity", String(40), nullable=False),
    Column("company", String(10), nullable=False),
    Column("key", String(400), nullable=False, comment="without the company, in capitals"),
    Column("sales_id", String(40), nullable=False, comment="empty: Sales has none, or several"),
    Column("paired", Boolean, nullable=False, comment="both sides had it"),
    Column("deactivated", Boolean, nullable=False, comment="the sync has deactivated its row"),
    Column("fields", Text, nullable=False, comment="the values of both sides when they were looked at last, as JSON"),
    Column("sales_version", BigInteger, nullable=False, comment="of the row when it was looked at or written last"),
    Column("finance_hash", String(64), nullable=False, comment="of the record when it was looked at last"),
    Column("finance_at", String(40), nullable=False, comment="time of change that was seen last"),
    Column("finance_looks", Integer, nullable=False, comment="how often this time was seen"),
    Column("in_sales", Integer, nullable=False, comment="reading of all rows that found it last"),
    Column("in_finance", Integer, nullable=False, comment="sweep that found it last"),
    PrimaryKeyConstraint("entity", "company", "key"),
    Index("sync_records_by_row", "entity", "company", "sales_id"),
)
"""What was agreed last."""

SYNC_PENDING: Final = Table(
    "sync_pending",
    metadata,
    Column("entity", String(40), nullable=False),
    Column("company", String(10), nullable=False),
    Column("key", String(400), nullable=False),
    Column("source", String(20), nullable=False, comment="who found it: sales, finance, sweep or a person"),
    Column("changed_at", String(40), nullable=False, comment="when it was changed, at the earliest; empty: not known"),
    Column("seen_at", String(27), nullable=False, comment="when it was found last"),
    Column("next_at", String(27), nullable=False, comment="when it is looked at"),
    Column("tries", Integer, nullable=False),
    Column("said", Text, nullable=False, comment="what people say of fields, as JSON"),
    Column("anew", Text, nullable=False, comment="fields that are judged anew, as JSON"),
    PrimaryKeyConstraint("entity", "company", "key"),
    Index("sync_pending_due", "entity", "company", "next_at"),
)
"""Records that have changed and were not looked at since."""

LETTERS: Final = Table(
    "sync_letters",
    metadata,
    Column("letter_id", String(12), primary_key=True),
    Column("entity", String(40), nullable=False),
    Column("company", String(10), nullable=False),
    Column("key", String(400), nullable=False),
    Column("sales_id", String(40), nullable=False),
    Column("field", String(60), nullable=False, comment="of the map; empty: the record as a whole"),
    Column("cause", String(30), nullable=False),
    Column("reason", String(12), nullable=False, comment="the same for letters of one cause and text"),
    Column("text", Text, nullable=False),
    Column("finance_value", Text, nullable=False),
    Column("sales_value", Text, nullable=False),
    Column("pii", Boolean, nullable=False, comment="the values are personal data: empty once it has ended"),
    Column("status", String(12), nullable=False),
    Column("seen", Integer, nullable=False),
    Column("first_at", String(27), nullable=False),
    Column("last_at", String(27), nullable=False),
    Column("proposed", Text, nullable=True),
    Column("proposed_by", String(200), nullable=False),
    Column("replay", String(200), nullable=False),
    Column("ended_by", String(200), nullable=False),
    Column("ended_at", String(27), nullable=False),
    Index("sync_letters_by_status", "entity", "company", "status", "reason"),
    Index("sync_letters_by_key", "entity", "company", "key"),
    Index("sync_letters_by_replay", "replay"),
)
"""What could not be applied. Nothing removes a letter that stands."""

LAGS: Final = Table(
    "lags",
    metadata,
    Column("day", String(10), nullable=False, comment="UTC"),
    Column("company", String(10), nullable=False),
    Column("entity", String(40), nullable=False),
    Column("direction", String(10), nullable=False, comment="to_sales or to_finance"),
    Column("bucket", Integer, nullable=False, comment="by its place among the bounds"),
    Column("changes", Integer, nullable=False),
    PrimaryKeyConstraint("day", "company", "entity", "direction", "bucket"),
)
"""How long changes took from one system to the other, counted."""
