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
    "MapActivated": "a map came into force",
    "MapRolledBack": "the former map came into force again",
}


def said(company: str, word: MapWord, event: str, entity: str, number: int, *, before: str, after: str) -> AuditRecord:
    """A person's word on a map that was taken; ``before`` and ``after`` are hashes."""
    return AuditRecord(
        record_id=f"map/{word.message_id}/{company}",
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
