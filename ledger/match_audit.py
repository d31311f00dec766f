"""What the audit says of decisions about customers that may be one: once for each company they are about."""

from __future__ import annotations

import hashlib

from domain.audit import CODE, WORDS, AuditKind, AuditRecord
from domain.entities.clusters import Cluster, Said, Status, Word

_EVENT = {Status.LATER: "MatchPutOff", Status.PROPOSED: "MatchProposed", Status.DECIDED: "MatchDecided"}
_WHAT = {
    Said.SAME: "these customers are one",
    Said.DIFFERENT: "these customers are different ones",
    Said.LATER: "these customers are looked at later",
}


def decided(company: str, cluster: Cluster, word: Word, status: Status, before: Status) -> AuditRecord:
    """A person's word on a cluster."""
    return _record(company, cluster, word, _EVENT[status], _WHAT[word.said], before, status)


def ended(company: str, cluster: Cluster, word: Word, before: Status) -> AuditRecord:
    """That a decision was taken back."""
    return _record(company, cluster, word, "MatchTakenBack", "the decision was taken back", before, Status.OPEN)


def _record(
    company: str, cluster: Cluster, word: Word, event: str, what: str, before: Status, after: Status
) -> AuditRecord:
    about = word.chosen or tuple(customer.ref for customer in cluster.customers)
    return AuditRecord(
        record_id=f"match/{word.message_id}/{company}",
        company=company,
        kind=AuditKind.DECISION,
        event=event,
        at=word.at,
        actor=word.person.named,
        what=what,
        why=word.why[:WORDS],
        before=before.value,
        after=after.value,
        policy_version=word.policy_version,
        envelope_id=word.message_id,
        envelope_hash=hashlib.sha256(word.proof.encode()).hexdigest(),
        facts={"cluster": cluster.id, "said": word.said.value, "customers": " ".join(about)[:CODE]},
    )
