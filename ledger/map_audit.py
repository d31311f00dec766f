"""What the audit says of changes of maps: in each company, since a map is about all of them."""

from __future__ import annotations

import hashlib
from typing import Final

from domain.audit import WORDS, AuditKind, AuditRecord
from domain.entities.map_change_said import MapWord

_WHAT: Final = {
    "MapProposed": "another map was proposed",
    "MapApproved": "the plan of a proposed map was approved",
    "MapRefused": "a proposed map was refused",
    "MapWithdrawn": "a proposed map was withdrawn",
    "MapTried": "a map that two others approved was tried on some records",
    "MapStopped": "a map did not come into force: it was stopped while it was tried",
    "MapActivated": "a map came into force",
    "MapRolledBack": "the former map came into force again",
}

_FIRST: Final = {"MapTried": "/tried"}
"""What tells the first record of a word from the one that says what it came to."""


def said(company: str, word: MapWord, event: str, entity: str, number: int, *, before: str, after: str) -> AuditRecord:
    """A person's word on a map that was taken; ``before`` and ``after`` are hashes."""
    return AuditRecord(
        record_id=f"map/{word.message_id}/{company}{_FIRST.get(event, '')}",
        company=company,
        kind=AuditKind.DECISION,
        event=event,
        at=word.at,
        actor=word.person.named,
        what=_WHAT[event],
        why=word.why[:WORDS],
        before=before,
        after=after,
        policy_version=word.policy_version,
        envelope_id=word.message_id,
        envelope_hash=hashlib.sha256(word.proof.encode()).hexdigest(),
        facts={"entity": entity} | ({"proposal": str(number)} if number else {}),
    )
