"""What an auditor asks: who decided beyond their authority, what has no proof behind it.

Each report is a function of records and of facts given to it: who holds which role, what Finance knows. It reads
nothing itself and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from domain.approvals import Decision
from domain.audit import ORDER_CREATED, ROUNDING, STEP_DECIDED, AuditKind
from domain.calendar import local_date
from domain.people import Person
from domain.record import Record
from domain.rounding import DayOfRounding, summed
from ledger.reads import AuditRow

Limits = Mapping[str, Mapping[str, Decimal]]
"""Amounts by role and currency."""
CREDIT_RELEASED: Final = "CreditReleased"
RELEASE_ASKED: Final = "ReleaseAsked"


class Grant(Record):
    """A role somebody holds; the company is empty where it holds for all."""

    person: Person
    role: str
    company: str = ""
    source: str = ""


def grants_of(people: Iterable[Person], source: str) -> list[Grant]:
    """The roles of people, as their tokens carry them, one by one; ``source`` says where they were read."""
    return [
        Grant(person=person.named, role=role, company=company, source=source)
        for person in people
        for role, _, company in (name.partition(".") for name in person.roles)
    ]


class RoleReview(Record):
    """The roles of one person, for the yearly review."""

    oid: str
    name: str
    upn: str
    roles: tuple[str, ...]
    decisions: int = 0
    last_decision: str = ""


class Anomaly(Record):
    """A record an auditor has to look at."""

    company: str
    deal_id: str
    seq: int = 0
    name: str = ""
    problem: str


class Document(Record):
    """A document the deals know of: a packing slip or an invoice."""

    company: str
    kind: str
    number: str
    deal_id: str = ""


def access_review(grants: Iterable[Grant], rows: Iterable[AuditRow]) -> list[RoleReview]:
    """Every person with the roles they hold, and how often they decided; also who decided and holds none any more."""
    people: dict[str, Person] = {}
    roles: dict[str, set[str]] = {}
    decided: dict[str, list[str]] = {}
    for grant in grants:
        oid = grant.person.oid.lower()
        people.setdefault(oid, grant.person)
        roles.setdefault(oid, set()).add(f"{grant.role}.{grant.company}" if grant.company else grant.role)
    for row in rows:
        if row.kind is AuditKind.DECISION:
            oid = row.actor.oid.lower()
            people.setdefault(oid, row.actor)
            decided.setdefault(oid, []).append(row.at.isoformat())
    return [
        RoleReview(
            oid=person.oid,
            name=person.name,
            upn=person.upn,
            roles=tuple(sorted(roles.get(oid, ()))),
            decisions=len(decided.get(oid, ())),
            last_decision=max(decided.get(oid, [""])),
        )
        for oid, person in sorted(people.items(), key=lambda entry: (entry[1].name.lower(), entry[0]))
    ]


def above_limit(
    rows: Iterable[AuditRow], grants: Iterable[Grant], limits: Limits, release_limits: Limits
) -> list[Anomaly]:
    """Decisions and releases by who did not hold the role for the company, or above the role's limit in the currency.

    A release that two persons gave together has no limit.

    Args:
        rows: records; decisions carry the facts ``role``, ``amount`` and ``currency``.
        grants: who holds which role.
        limits: of approvals: by role and currency, the amount up to which the role alone suffices.
        release_limits: of credit releases, the same.
    """
    holds = {(grant.person.oid.lower(), grant.role, grant.company) for grant in grants}
    found = []
    for row in rows:
        role = row.facts.get("role", "")
        if row.kind is not AuditKind.DECISION or not role:
            continue
        oid = row.actor.oid.lower()
        if (oid, role, "") not in holds and (oid, role, row.company) not in holds:
            found.append(_anomaly(row, f"decided as {role} without holding the role for {row.company.upper()}"))
        kept = {STEP_DECIDED: limits, CREDIT_RELEASED: release_limits}.get(row.event, {})
        alone = row.facts.get("persons", "1") == "1"
        limit = kept.get(role, {}).get(row.facts.get("currency", "")) if alone else None
        amount = _amount(row.facts.get("amount", ""))
        if limit is not None and amount is not None and amount > limit:
            found.append(
                _anomaly(row, f"decided on {amount} {row.facts['currency']} as {role}, whose limit is {limit}")
            )
    return found


def unsigned_orders(rows: Iterable[AuditRow]) -> list[Anomaly]:
    """Orders of deals whose approval was asked, and which no signed approval stands before."""
    asked: dict[str, bool] = {}
    found = []
    for row in rows:
        if row.event == "ApprovalAsked":
            asked[row.deal_id] = False
        elif _is_signed_approval(row):
            asked[row.deal_id] = True
        elif row.event == "OrderCreated" and asked.get(row.deal_id) is False:
            number = row.facts.get("order", "")
            found.append(_anomaly(row, f"order {number} was created without a signed decision before it"))
    return found


def _is_signed_approval(row: AuditRow) -> bool:
    """Whether a record is a person's signed approval of a step; a signed command or rejection approves nothing."""
    approves = row.event == STEP_DECIDED and row.facts.get("decision") == Decision.APPROVE
    return approves and row.kind is AuditKind.DECISION and bool(row.envelope_id and row.envelope_hash)


def documents_of(rows: Iterable[AuditRow]) -> list[Document]:
    """Packing slips and invoices the deals recorded."""
    found = []
    for row in rows:
        for name in ("slip", "invoice"):
            numbers = row.facts.get(name) or row.facts.get(f"{name}s") or ""
            found += [
                Document(company=row.company, kind=name, number=number, deal_id=row.deal_id)
                for number in numbers.split(",")
                if number
            ]
    return found


def unknown_to_finance(recorded: Iterable[Document], known: Iterable[Document]) -> list[Anomaly]:
    """Slips and invoices that deals recorded and Finance does not know."""
    there = {(document.company, document.kind, document.number) for document in known}
    return [
        Anomaly(
            company=document.company,
            deal_id=document.deal_id,
            problem=f"{document.kind} {document.number} is not in Finance",
        )
        for document in recorded
        if (document.company, document.kind, document.number) not in there
    ]


def rounding_days(rows: Iterable[AuditRow], timezone: str) -> tuple[DayOfRounding, ...]:
    """By how much Finance's orders differ from what was approved, within the tolerance: summed by the company's day.

    Args:
        rows: records; those of orders carry the facts ``rounding`` and ``currency`` where there is a difference.
        timezone: IANA name, of the company.
    """
    differences = []
    for row in rows:
        net = _amount(row.facts.get(ROUNDING, "")) if row.event == ORDER_CREATED else None
        if net is not None:
            differences.append((row.company, local_date(row.at, timezone), row.facts.get("currency", ""), net))
    return summed(differences)


def _anomaly(row: AuditRow, problem: str) -> Anomaly:
    return Anomaly(company=row.company, deal_id=row.deal_id, seq=row.seq, name=row.actor.name, problem=problem)


def _amount(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
