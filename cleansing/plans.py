"""What matching leaves for people: clusters, the pairs that made them, and a proposal for each company's doubles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cleansing.files import ListFile
from cleansing.matching import Cluster, Kind, Member, Pair
from domain.customers import Standing
from domain.entities.survivors import SurvivorPlan, Twin, survivor_plan

CLUSTER_COLUMNS: Final = ("cluster", "kind", "company", "customer", "side", "key", "name")
PAIR_COLUMNS: Final = ("cluster", "score", "one", "other", "reasons")
PLAN_COLUMNS: Final = (
    "cluster", "company", "proposal", "customer", "name", "accounts", "open receivables", "currency",
    "open orders in Finance", "open orders in Sales", "why", "to do",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standings:
    """What hangs on customers, as far as it was read.

    Attributes:
        finance: by company and number.
        sales: by id of the account.
    """

    finance: Mapping[tuple[str, str], Standing] = field(default_factory=dict)
    sales: Mapping[str, Standing] = field(default_factory=dict)


def plans(cluster: Cluster, standings: Standings) -> tuple[SurvivorPlan, ...]:
    """A proposal for each company that has several customers in a cluster; none for one that is too large to decide."""
    if cluster.too_large:
        return ()
    found: dict[str, dict[int, list[Member]]] = defaultdict(lambda: defaultdict(list))
    for member in cluster.members:
        found[member.company][member.customer].append(member)
    return tuple(
        survivor_plan(company, [_twin(members, standings) for members in customers.values()])
        for company, customers in sorted(found.items())
        if len(customers) > 1
    )


def _twin(members: list[Member], standings: Standings) -> Twin:
    first = members[0]
    accounts = tuple(member.key for member in members if member.side == "sales")
    in_sales = [standings.sales[account] for account in accounts if account in standings.sales]
    return Twin(
        number=first.number,
        name=first.name,
        in_finance=any(member.side == "finance" for member in members),
        accounts=accounts,
        finance=standings.finance.get((first.company, first.number)),
        sales=Standing(open_orders=sum(each.open_orders for each in in_sales)) if in_sales else None,
    )


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
    return "; ".join(each.text if each.weight is None else f"{each.text} {each.weight:+.1f}" for each in pair.reasons)


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
