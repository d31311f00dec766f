"""Finds the customers that are one: pairs with what speaks for each, and the clusters they make. Nothing is merged.

Two customers are taken for one where a certain rule says so, or where the model finds it likely enough. A pair within
one company is a double; across companies it is one party with several accounts, which is no mistake.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import pyarrow as pa

from cleansing.faces import LeftOut, make_faces
from cleansing.model import CERTAIN, MatchModel, certain, linker
from cleansing.relations import Relations
from domain.customers_policy import CustomerPolicy
from domain.entities.clusters import MOST_CUSTOMERS
from domain.entities.cross_reference import LONGEST_OF_REF, OF_ACCOUNT

MOST_OF_A_CLUSTER: Final = MOST_CUSTOMERS
"""Customers of a cluster that a person can decide about; a larger one is a chain of coincidences, and says so."""


class Kind(StrEnum):
    """What a cluster is."""

    DOUBLE = "double"
    """Several customers of one company are one."""
    PARTY = "party"
    """One party, a customer of several companies: no mistake."""


@dataclass(frozen=True, slots=True)
class Reason:
    """What speaks for or against a pair: bits of evidence, above zero for it. A certain rule has none."""

    text: str
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two customers that are taken for one.

    Attributes:
        left: id of a customer.
        right: id of the other one, which is larger.
        score: from 0 to 100; 100 by a certain rule.
        reasons: certain rules first, then the comparisons of the model.
        decided: people said so: it holds customers together and is not proposed again.
    """

    left: int
    right: int
    score: float
    reasons: tuple[Reason, ...]
    decided: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """A record of a cluster.

    Attributes:
        customer: id of the customer; records of both sides with one number are one.
        company: legal entity.
        number: the account number; empty: it has none.
        side: finance or sales.
        key: by which people find the record.
        name: as it stands there.
    """

    customer: int
    company: str
    number: str
    side: str
    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """Customers that are one, with every record of theirs on either side."""

    kind: Kind
    members: tuple[Member, ...]
    pairs: tuple[Pair, ...]

    @property
    def customers(self) -> int:
        """How many customers it would make one."""
        return len({member.customer for member in self.members})

    @property
    def too_large(self) -> bool:
        """Whether it is more than a person can decide about."""
        return self.customers > MOST_OF_A_CLUSTER


@dataclass(frozen=True, slots=True)
class Matches:
    """What a run found."""

    pairs: tuple[Pair, ...]
    left_out: tuple[LeftOut, ...]
    relations: Relations
    different: tuple[Pair, ...] = ()
    """Customers of which people said that they are different ones."""

    @property
    def companies(self) -> tuple[str, ...]:
        """Legal entities whose customers were compared."""
        found = "SELECT DISTINCT company FROM face WHERE company <> '' ORDER BY company"
        return tuple(str(row[0]) for row in self.relations.database.execute(found).fetchall())

    def clusters(self) -> Iterator[Cluster]:
        """The clusters in which something is to be decided, by company and number of their first member."""
        of_pair = _components(self.pairs)
        undecided = {pair.left for pair in self.pairs if not pair.decided}
        groups = [group for group in of_pair if not undecided.isdisjoint(group)]
        of_customer = {customer: number for number, group in enumerate(groups) for customer in group}
        members: dict[int, list[Member]] = defaultdict(list)
        for member in _members(self.relations, of_customer):
            members[of_customer[member.customer]].append(member)
        pairs: dict[int, list[Pair]] = defaultdict(list)
        for pair in (*self.pairs, *self.different):
            if (group := of_customer.get(pair.left)) is not None and group == of_customer.get(pair.right):
                pairs[group].append(pair)
        found = [_cluster(members[number], pairs[number]) for number in members]
        return iter(sorted(found, key=lambda c: (c.members[0].company, c.members[0].number, c.members[0].key)))


def match(
    relations: Relations,
    model: MatchModel,
    policy: CustomerPolicy,
    verdicts: Mapping[tuple[str, str], bool] | None = None,
) -> Matches:
    """Compare the customers of both sides with one another.

    Args:
        relations: with the customers.
        model: trained.
        policy: legal forms and public mail domains.
        verdicts: what people said of two customers, named by `domain.entities.cross_reference.customer_ref`.

    Raises:
        RelationsError: there are no customers, or the model is not what was trained.
    """
    settings = model.settings()
    left_out = make_faces(relations, policy)
    same, different = _decided(relations, verdicts or {})
    known = {(pair.left, pair.right) for pair in (*same, *different)}
    found = [pair for pair in _pairs(relations, settings, model) if (pair.left, pair.right) not in known]
    pairs = sorted((*found, *same), key=lambda pair: (pair.left, pair.right))
    return Matches(tuple(pairs), left_out, relations, different)


def _decided(
    relations: Relations, verdicts: Mapping[tuple[str, str], bool]
) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """The customers here of which people said that they are the same, and those that are different."""
    if not verdicts:
        return (), ()
    named = pa.table({"ref": pa.array(sorted({ref for pair in verdicts for ref in pair}), pa.string())})
    relations.database.register("named", named)
    rows = relations.database.execute(f"""
        SELECT ref, min(customer) FROM (
            SELECT customer, company || '/' || left(CASE
                WHEN number <> '' THEN number
                WHEN members[1].side = 'finance' THEN upper(members[1].key)
                ELSE '{OF_ACCOUNT}' || lower(members[1].key) END, {LONGEST_OF_REF}) AS ref FROM face
        ) JOIN named USING (ref) GROUP BY ref
    """).fetchall()
    relations.database.unregister("named")
    of_ref = dict(rows)
    found: tuple[list[Pair], list[Pair]] = [], []
    for (one, other), same in sorted(verdicts.items()):
        left, right = sorted((of_ref.get(one, -1), of_ref.get(other, -1)))
        if 0 <= left < right:
            said = Reason("decided: the same" if same else "decided: not the same")
            found[not same].append(Pair(left, right, 100.0 if same else 0.0, (said,), decided=True))
    return tuple(found[0]), tuple(found[1])


def _pairs(relations: Relations, settings: dict[str, Any], model: MatchModel) -> Iterator[Pair]:
    """Every pair of customers that is taken for one, by the faces of theirs that are most alike."""
    scored = linker(relations, settings, "face").inference.predict().physical_name
    comparisons = list(model.levels)
    parts = ", ".join(f"'{name}': [s.gamma_{name}::DOUBLE, s.mw_{name}]" for name in comparisons)
    rules = " UNION ALL ".join(
        f"SELECT l.customer AS one, r.customer AS other, '{rule}' AS rule"
        f" FROM face l JOIN face r ON {certain(rule)} AND l.customer < r.customer"
        for rule in CERTAIN
    )
    rows = relations.database.execute(f"""
        WITH likely AS (
            SELECT least(customer_l, customer_r) AS one, greatest(customer_l, customer_r) AS other,
                   match_probability AS probability, MAP {{{parts}}} AS parts
            FROM {scored} s
            QUALIFY row_number() OVER (PARTITION BY one, other ORDER BY match_weight DESC, unique_id_l, unique_id_r) = 1
        ), ruled AS (SELECT one, other, list(DISTINCT rule ORDER BY rule) AS rules FROM ({rules}) GROUP BY ALL)
        SELECT one, other, coalesce(probability, 0), coalesce(rules, []), parts
        FROM likely FULL JOIN ruled USING (one, other)
        WHERE rules IS NOT NULL OR probability >= {model.threshold}
        ORDER BY one, other
    """).fetchall()
    labels = _labels(model)
    for one, other, probability, ruled, counted in rows:
        reasons = [Reason(f"rule: {rule}") for rule in ruled]
        reasons += [Reason(labels[name, int(part[0])], round(part[1], 1)) for name, part in (counted or {}).items()]
        yield Pair(one, other, 100.0 if ruled else round(100 * probability, 1), tuple(reasons))


def _labels(model: MatchModel) -> Mapping[tuple[str, int], str]:
    """What each level of a comparison says: by the comparison and the number that Splink gives the level."""
    labels = {(name, -1): f"{name.replace('_', ' ')} not known" for name in model.levels}
    for name, levels in model.levels.items():
        labels |= {(name, number): level.label for number, level in enumerate(reversed(levels))}
    return labels


def _components(pairs: Iterable[Pair]) -> list[list[int]]:
    """Customers that pairs hold together."""
    parent: dict[int, int] = {}

    def root(customer: int) -> int:
        parent.setdefault(customer, customer)
        while parent[customer] != customer:
            parent[customer] = customer = parent[parent[customer]]
        return customer

    for pair in pairs:
        one, other = root(pair.left), root(pair.right)
        parent[max(one, other)] = min(one, other)
    groups: dict[int, list[int]] = defaultdict(list)
    for customer in parent:
        groups[root(customer)].append(customer)
    return list(groups.values())


def _members(relations: Relations, customers: Iterable[int]) -> Iterator[Member]:
    database = relations.database
    database.execute("CREATE OR REPLACE TABLE wanted (customer BIGINT)")
    listed = ", ".join(map(str, customers))
    if not listed:
        return
    database.execute(f"INSERT INTO wanted SELECT unnest([{listed}])")
    rows = database.execute(
        "SELECT * FROM (SELECT customer, company, number, unnest(members) AS record FROM face"
        " JOIN wanted USING (customer)) ORDER BY company, number, customer, record.side, record.key"
    ).fetchall()
    for customer, company, number, member in rows:
        yield Member(customer, company, number, member["side"], member["key"], member["name"])


def _cluster(members: list[Member], pairs: list[Pair]) -> Cluster:
    companies: dict[str, set[int]] = defaultdict(set)
    for member in members:
        companies[member.company].add(member.customer)
    double = any(len(customers) > 1 for customers in companies.values())
    return Cluster(Kind.DOUBLE if double else Kind.PARTY, tuple(members), tuple(pairs))
