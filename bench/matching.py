"""How long it takes to find doubles among customers of both sides, and how well they are found.

Repeat with `uv run python -m bench.matching --rows 2000000`. The truth is the generator's: its doubles share a tax
number, an address or a telephone with their customer, mistyped as people do it; real ones are less regular.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from cleansing.matching import match
from cleansing.model import read_model
from cli.match import MODEL
from domain.customers import AccountInSales, KnownCustomer
from domain.likeness import compared
from dynamics.finance.customers import MOST_FOUND
from policies.loading import load
from policies.quality_files import own_or_packaged
from sandbox.generate import write
from tests.population import as_parquet, judged, relations, truth


def one_account() -> float:
    """Milliseconds to compare a new account with all that can be found for it in Finance (`domain.likeness`)."""
    policy = load().customers
    account = AccountInSales(account_id="1", name="Contoso & Sons, Limited", email="a@contoso.example", tax_number="1")
    found = [
        KnownCustomer(account=str(n), name=f"Contoso {n} Ltd", email="b@contoso.example") for n in range(4 * MOST_FOUND)
    ]
    begun = time.perf_counter()
    for customer in found:
        compared(account, customer, policy, key="")
    return 1000 * (time.perf_counter() - begun)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help="records of the two sides together, about")
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    model = read_model(own_or_packaged(None, MODEL).read_text(encoding="utf-8"), MODEL)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "population")
        counts = write(made, asked.rows // 2, seed=asked.seed)
        given = relations(as_parquet(made, Path(folder, "relations")))
        begun, work = time.perf_counter(), time.process_time()
        found = match(given, model, load().customers)
        clusters = list(found.clusters())
        taken, work = time.perf_counter() - begun, time.process_time() - work
        rows = counts["finance_customers"] + counts["sales_accounts"]
        print(f"{rows:,} records: {taken:.1f} s, {work:.1f} s of processor time")
        print(f"{len(clusters):,} clusters; {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
        judgement = judged(clusters, truth(made))
        print(f"precision {judgement.precision:.4f}, recall {judgement.recall:.4f} of {judgement.true:,} pairs")
    print(f"a new account against {4 * MOST_FOUND} customers of Finance: {one_account():.1f} ms")


if __name__ == "__main__":
    main()
