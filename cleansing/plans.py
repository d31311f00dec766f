"""What matching leaves for people: clusters, the pairs that made them, and a proposal for each company's doubles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cleansing.files import ListFile
from cleansing.matching import Cluster, Kind, Member, Pair, Reason
from domain.customers import Standing
from domain.entities.clusters import Cluster as PeoplesCluster
from domain.entities.clusters import MatchedCustomer, MatchedPair, SalesAccount
from domain.entities.survivors import SurvivorPlan, Twin, survivor_plan

CLUSTER_COLUMNS: Final = ("cluster", "kind", "company", "customer", "side", "key", "name")
PAIR_COLUMNS: Final = ("cluster", "score", "one", "other", "reasons")
PLAN_COLUMNS: Final = (
    "cluster", "company", "proposal", "customer", "name", "accounts", "open receivables", "currency",
    "open orders in Finance", "open orders in Sales", "why", "to do",
)  # fmt: skip
_COMPANY: Final = 10
"""Characters of a company; Finance has 4."""


@dataclass(frozen=True, slots=True)
class Standings:
    """What hangs on customers, as far as it was read.

    Attributes:
        finance: by company and number.
        sales: by id of the account.
    """

    finance: Mapping[tuple[str, str], Standing] = field(default_factory=dict)
    sales: Mapping[str, Standing] = field(default_factory=dict)


def customers_of(cluster: Cluster, standings: Standings) -> dict[int, MatchedCustomer]:
    """The customers of a cluster by id, each with its records on both sides and what is open on it."""
    found: dict[int, list[Member]] = defaultdict(list)
    for member in cluster.members:
        found[member.customer].append(member)
    customers = {}
    for customer, members in found.items():
        in_finance = next((member for member in members if member.side == "finance"), None)
        accounts = [member for member in members if member.side == "sales"]
        in_sales = [standings.sales[each.key] for each in accounts if each.key in standings.sales]
        number = members[0].number or (in_finance.key if in_finance else "")
        customers[customer] = MatchedCustomer(
            company=members[0].company[:_COMPANY],
            number=number,
            finance_name=in_finance.name if in_finance else None,
            accounts=tuple(SalesAccount(id=each.key, name=each.name) for each in accounts),
            finance=standings.finance.get((members[0].company, number)),
            sales=Standing(open_orders=sum(each.open_orders for each in in_sales)) if in_sales else None,
        )
    return customers


def for_people(cluster: Cluster, standings: Standings) -> PeoplesCluster | None:
    """A cluster as people decide about it; None: it is too large for that."""
    if cluster.too_large:
        return None
    customers = customers_of(cluster, standings)
    return PeoplesCluster(
        customers=tuple(customers.values()),
        pairs=tuple(
            MatchedPair(
                one=customers[pair.left].ref,
                other=customers[pair.right].ref,
                score=pair.score,
                reasons=tuple(map(_reason, pair.reasons)),
            )
            for pair in cluster.pairs
        ),
    )


def plans(cluster: Cluster, standings: Standings) -> tuple[SurvivorPlan, ...]:
    """A proposal for each company that has several customers in a cluster; none for one that is too large to decide."""
    if cluster.too_large:
        return ()
    found: dict[str, list[Twin]] = defaultdict(list)
    for customer in customers_of(cluster, standings).values():
        found[customer.company].append(customer.twin)
    return tuple(survivor_plan(company, twins) for company, twins in sorted(found.items()) if len(twins) > 1)


@dataclass(slots=True)
class Written:
    """How much was written."""

    clusters: dict[Kind, int]
    pairs: int = 0
    plans: int = 0
    too_large: int = 0


def write_lists(clusters: Iterable[Cluster], standings: Standings, folder: Path) -> Written:
    """Write `clusters`, `pairs` and `plans` to a folder, as CSV and XLSX each."""
    folder.mkdir(parents=True, exist_ok=True)
    written = Written(dict.fromkeys(Kind, 0))
    with (
        ListFile(folder / "clusters", CLUSTER_COLUMNS) as listed,
        ListFile(folder / "pairs", PAIR_COLUMNS) as compared,
        ListFile(folder / "plans", PLAN_COLUMNS) as proposed,
    ):
        for number, cluster in enumerate(clusters, 1):
            written.clusters[cluster.kind] += 1
            written.too_large += cluster.too_large
            kind = f"{cluster.kind} (too large to decide)" if cluster.too_large else cluster.kind.value
            for each in cluster.members:
                listed.write((number, kind, each.company, called(each), each.side, each.key, each.name))
            names = {each.customer: f"{each.company}/{called(each)}" for each in cluster.members}
            for pair in cluster.pairs:
                compared.write((number, pair.score, names[pair.left], names[pair.right], reasons(pair)))
                written.pairs += 1
            for plan in plans(cluster, standings):
                for row in _plan_rows(number, plan):
                    proposed.write(row)
                written.plans += 1
    return written


def called(member: Member) -> str:
    """How people know a customer: by its number, or by its account where it has none."""
    return member.number or member.key


def reasons(pair: Pair) -> str:
    """What speaks for a pair and against it, in words, with its weight in bits."""
    return "; ".join(map(_reason, pair.reasons))


def _reason(reason: Reason) -> str:
    return reason.text if reason.weight is None else f"{reason.text} {reason.weight:+.1f}"


def _plan_rows(number: int, plan: SurvivorPlan) -> Iterator[Sequence[str | int | float | None]]:
    for twin in (plan.survivor, *plan.others):
        stays = twin is plan.survivor
        finance = twin.finance or Standing()
        yield (
            number,
            plan.company,
            "keep" if stays else "give up",
            twin.called,
            twin.name,
            " ".join(twin.accounts),
            # As text: a spreadsheet would round it.
            "" if finance.open_receivables is None else f"{finance.open_receivables:f}",
            finance.currency,
            twin.finance.open_orders if twin.finance else None,
            twin.sales.open_orders if twin.sales else None,
            plan.why if stays else "",
            " ".join(plan.steps) if stays else "",
        )
