"""What the activation gate finds in the records of a dry run: rules they break, and targets nobody can tell."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import pyarrow as pa

from cleansing.faces import ENTITY
from cleansing.matching import Cluster, Member, match
from cleansing.model import MatchModel
from cleansing.plans import called, reasons
from cleansing.quality import Found, run
from cleansing.relations import SIDES, Relations, literal
from domain.customers_policy import CustomerPolicy
from domain.entities.cross_reference import CrossReference, customer_ref
from domain.entities.gate import MOST_ACCOUNTS, MOST_NAMED, Account, AmbiguousTarget, BrokenRule, Limits, Look
from domain.entities.initial import Action
from domain.entities.model import DataMap, SideName
from domain.entities.quality import QualityRules, Severity

_MOST_PAIRS: Final = 5
"""Pairs of a target whose reasons are named."""


@dataclass(frozen=True, slots=True)
class Held:
    """What records are held against.

    Attributes:
        maps: those in force.
        rules: of quality.
        model: of matching.
        limits: of activation.
        customers: legal forms and public mail domains.
        companies: legal entities of the installation, lower case.
        countries: code of Finance by name.
        today: the company's day.
        decided: what people said of customers that may be one.
    """

    maps: tuple[DataMap, ...]
    rules: QualityRules
    model: MatchModel
    limits: Limits
    customers: CustomerPolicy
    companies: frozenset[str]
    countries: Mapping[str, str]
    today: date
    decided: CrossReference


def look(entity: str, company: str, held: Held, plan: Sequence[str], records: Mapping[SideName, Sequence[str]]) -> Look:
    """Look at the records of a dry run.

    Args:
        entity: of the map.
        company: legal entity, lower case.
        held: rules, model and limits.
        plan: Parquet files of the plan.
        records: of each side, Parquet files of its records.
    """
    relations = Relations(held.maps)
    for side in SIDES:
        relations.add(entity, side, f"SELECT * FROM {_files(records[side])}")
    database = relations.database
    database.execute(f"CREATE TABLE plan AS SELECT key, sales_ids, action, changes FROM {_files(plan)}")
    rules = held.rules.model_copy(update={"rules": tuple(rule for rule in held.rules.rules if rule.entity == entity)})
    found = run(rules, relations, companies=held.companies, today=held.today, countries=held.countries)
    critical = {rule.number: rule for rule in rules.rules if rule.severity is Severity.CRITICAL}
    fields = held.limits.critical_conflicts.get(entity, ())
    conflicts = {field: _one(database, f"SELECT count(*) FROM plan WHERE {_conflict(field)}") for field in fields}
    doubled = _one(database, f"SELECT count(*) FROM plan WHERE action = '{Action.DUPLICATE}'")
    matched = list(_matched(relations, company, held)) if entity == ENTITY else []
    named = [*_doubled(relations, entity), *map(_bounded, matched)][:MOST_NAMED]
    counts = _counts(found, critical)
    return Look(
        critical=_critical(database, critical, fields, matched),
        broken=tuple(
            BrokenRule(number=number, name=critical[number].name, remedy=critical[number].remedy, records=count)
            for number, count in counts.items()
        ),
        not_checked=tuple(f"rule {each.rule}, {each.why}" for each in found.not_checked if each.rule in critical),
        conflicts={field: count for field, count in conflicts.items() if count},
        ambiguous=tuple(named),
        ambiguous_more=doubled + len(matched) - len(named),
        score=next((each.score for each in found.scores if each.company == company), None),
        quality_hash=_hash(held, found),
    )


def _files(files: Sequence[str]) -> str:
    return f"read_parquet([{', '.join(map(literal, files))}])"


def _one(database: Any, question: str) -> int:
    return int(database.execute(question).fetchall()[0][0])


def _conflict(field: str) -> str:
    """That a person has to decide about a field, as SQL."""
    return f"len(list_filter(changes, lambda c: c.field = {literal(field)} AND c.\"to\" = '' AND c.trouble = '')) > 0"


def _counts(found: Found, rules: Iterable[int]) -> dict[int, int]:
    counts = dict.fromkeys(rules, 0)
    for each in found.outcomes:
        if each.rule in counts:
            counts[each.rule] += each.failing
    return {number: count for number, count in counts.items() if count}


def _critical(database: Any, rules: Iterable[int], fields: Iterable[str], matched: Sequence[AmbiguousTarget]) -> int:
    """How many records of the plan have anything critical."""
    numbers = ", ".join(map(str, rules)) or "NULL"
    failing = f"FROM failures WHERE rule IN ({numbers}) AND side"
    keys = [number.strip().upper() for target in matched for number in target.customers]
    ids = [account.id for target in matched for account in target.accounts]
    for name, given, failed in (
        ("bad_key", keys, f"SELECT upper(trim(key)) {failing} = 'finance'"),
        ("bad_id", ids, f"SELECT key {failing} = 'sales'"),
    ):
        database.register("given", pa.table({"key": pa.array(given, pa.string())}))
        database.execute(f"CREATE TABLE {name} AS SELECT key FROM given UNION {failed}")
        database.unregister("given")
    own = " OR ".join((f"action = '{Action.DUPLICATE}'", *map(_conflict, fields)))
    return _one(
        database,
        f"SELECT count(*) FROM plan WHERE ({own}) OR key IN (FROM bad_key) OR key IN (SELECT key FROM (SELECT key, "
        "unnest(string_split(sales_ids, ' ')) AS id FROM plan) WHERE id IN (FROM bad_id))",
    )


def _doubled(relations: Relations, entity: str) -> Iterator[AmbiguousTarget]:
    """The first keys that several rows of Sales carry."""
    view = relations.view(entity, "sales")
    first = f"SELECT key, sales_ids FROM plan WHERE action = '{Action.DUPLICATE}' ORDER BY key LIMIT {MOST_NAMED}"
    name = "name" if "name" in relations.columns(entity, "sales") else "''"
    rows = relations.database.execute(
        f"SELECT p.key, list(struct_pack(id := r.key, name := r.{name}) ORDER BY r.key) FROM (SELECT key, "
        f"unnest(string_split(sales_ids, ' ')) AS id FROM ({first})) p "
        f"JOIN {view} r ON r.key = p.id GROUP BY p.key ORDER BY p.key"
    ).fetchall()
    for key, accounts in rows:
        target = AmbiguousTarget(
            customers=(key,),
            accounts=tuple(Account(id=each["id"], name=each["name"], number=key) for each in accounts),
            score=100.0,
            reasons=("same customer number",),
        )
        yield _bounded(target)


def _bounded(target: AmbiguousTarget) -> AmbiguousTarget:
    """A target with as many accounts as a verdict names."""
    more = len(target.accounts[MOST_ACCOUNTS:])
    return target.model_copy(update={"accounts": target.accounts[:MOST_ACCOUNTS], "more": more})


def _matched(relations: Relations, company: str, held: Held) -> Iterator[AmbiguousTarget]:
    """Customers of Finance that more accounts are one with than there are customers."""
    for cluster in match(relations, held.model, held.customers).clusters():
        if cluster.too_large:
            continue
        members = [member for member in cluster.members if member.company == company]
        customers = sorted({member.number for member in members if member.side == "finance"})
        accounts = [each for each in members if each.side == "sales" and not _set_apart(each, customers, held.decided)]
        if customers and len(accounts) > len(customers):
            yield _target(cluster, customers, accounts)


def _set_apart(account: Member, customers: Iterable[str], decided: CrossReference) -> bool:
    """Whether people said that an account is none of some customers."""
    itself = customer_ref(account.company, account.number, account.key)
    return all(decided.verdict(itself, customer_ref(account.company, number)) is False for number in customers)


def _target(cluster: Cluster, customers: Sequence[str], accounts: Iterable[Member]) -> AmbiguousTarget:
    names = {member.customer: called(member) for member in cluster.members}
    pairs = sorted(cluster.pairs, key=lambda pair: -pair.score)
    return AmbiguousTarget(
        customers=tuple(customers),
        accounts=tuple(Account(id=each.key, name=each.name, number=each.number) for each in accounts),
        score=pairs[0].score,
        reasons=tuple(
            f"{names[pair.left]} and {names[pair.right]}, {pair.score:g}: {reasons(pair)}"
            for pair in pairs[:_MOST_PAIRS]
        ),
    )


def _hash(held: Held, found: Found) -> str:
    """SHA-256 (hex) over what the records were held against, and what that came to."""
    outcomes = sorted(each.model_dump_json() for each in found.outcomes)
    content = json.dumps([held.rules.hash, held.model.sha256, held.limits.version, outcomes])
    return hashlib.sha256(content.encode()).hexdigest()
