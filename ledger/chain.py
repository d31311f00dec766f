"""The chain of a company's records: what is hashed, and how a chain is checked.

A record's hash covers everything of it that is no personal data, the hash of the record before it, and seals of what
is: of its actor and of its words. A seal is a SHA-256 over a random salt and the content; when a person is erased the
salt goes as well, the seal stays, and with it the chain.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from domain.record import Record

START: Final = "0" * 64
"""Hash before a chain's first record."""

CHAINED: Final = (
    "company",
    "seq",
    "record_id",
    "kind",
    "event",
    "at",
    "recorded_at",
    "deal_id",
    "actor_id",
    "actor_seal",
    "words_seal",
    "before",
    "after",
    "code",
    "policy_version",
    "envelope_id",
    "envelope_hash",
    "facts",
    "prev_hash",
)
"""Columns of a record that its hash covers, in this order."""


class Finding(Record):
    """The first thing that is wrong with a chain."""

    company: str
    seq: int
    record_id: str = ""
    problem: str

    def __str__(self) -> str:
        named = f" ({self.record_id})" if self.record_id else ""
        return f"{self.company} record {self.seq}{named}: {self.problem}"


def moment(at: datetime) -> str:
    """A moment as it is stored: UTC, microseconds, sortable as text."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def canonical(content: Mapping[str, Any]) -> str:
    """JSON that reads the same however it was made."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def seal(salt: str, *content: str) -> str:
    """The seal of personal content under its salt."""
    return hashlib.sha256("\0".join((salt, *content)).encode()).hexdigest()


def record_hash(row: Mapping[str, Any]) -> str:
    """The hash of a record, over its chained columns."""
    return hashlib.sha256(canonical({name: row[name] for name in CHAINED}).encode()).hexdigest()


class ChainCheck:
    """Checks a company's records one after another; stops at the first that is wrong."""

    def __init__(self, company: str, *, after_seq: int = 0, after_hash: str = START) -> None:
        """Begin behind a record; from the beginning unless said otherwise."""
        self.company = company
        self.seq = after_seq
        self.hash = after_hash
        self.erased = 0
        self.finding: Finding | None = None

    def check(self, row: Mapping[str, Any]) -> None:
        """Check the next record; its row holds the actor and the words with their salts beside the chained columns."""
        if row["company"] != self.company:
            self._found(row, f"belongs to the company {row['company']}")
        elif row["seq"] != self.seq + 1:
            missing = Finding(company=self.company, seq=self.seq + 1, problem=f"is missing: {row['seq']} comes next")
            if isinstance(row["seq"], int) and row["seq"] > self.seq + 1:
                self.finding = missing
            else:
                self._found(row, f"stands where record {self.seq + 1} belongs")
        elif row["prev_hash"] != self.hash:
            self._found(row, "does not follow the record before it")
        elif not hmac.compare_digest(record_hash(row), str(row["hash"])):
            self._found(row, "was changed")
        elif problem := self._personal(row):
            self._found(row, problem)
        else:
            self.seq, self.hash = row["seq"], row["hash"]

    def _personal(self, row: Mapping[str, Any]) -> str:
        if row["actor_salt"] is None or row["words_salt"] is None:
            self.erased += 1
        if row["actor_salt"] is not None and seal(row["actor_salt"], row["actor_oid"] or "") != row["actor_seal"]:
            return "names another person than the one it was written for"
        if row["words_salt"] is not None and seal(row["words_salt"], row["what"], row["why"]) != row["words_seal"]:
            return "has other words than those it was written with"
        return ""

    def ends(self, seq: int, last_hash: str) -> None:
        """Check that the chain ends where its end was written down."""
        if self.finding is None and self.seq < seq:
            self.finding = Finding(
                company=self.company, seq=self.seq + 1, problem=f"is missing: the chain ends at {seq}"
            )
        elif self.finding is None and (self.seq, self.hash) != (seq, last_hash):
            self.finding = Finding(company=self.company, seq=self.seq, problem=f"was added: the chain ends at {seq}")

    def _found(self, row: Mapping[str, Any], problem: str) -> None:
        seq = row["seq"] if isinstance(row["seq"], int) else self.seq + 1
        self.finding = Finding(company=self.company, seq=seq, record_id=str(row["record_id"])[:200], problem=problem)
