"""How long changes took: counts of buckets add up, and say within how long so many of them were there."""

from __future__ import annotations

from datetime import date

from domain.entities.lags import BOUNDS_MS, LagBucket, bucket_of, kept_since, lags_of, quantile, shown_since


def test_a_change_is_counted_where_it_belongs() -> None:
    assert [bucket_of(seconds) for seconds in (0, 1, 1.01, 86_400, 86_401)] == [0, 0, 1, 14, 15]
    assert (shown_since(date(2026, 11, 27)), kept_since(date(2026, 11, 27))) == ("2026-11-21", "2026-10-24")


def test_figures_are_read_from_counts() -> None:
    counts = [0] * (len(BOUNDS_MS) + 1)
    assert quantile(counts, 50) == 0
    counts[bucket_of(4)] = 10
    assert (quantile(counts, 50), quantile(counts, 100)) == (3_750, 5_000)
    counts[-1] = 90
    assert quantile(counts, 95) == BOUNDS_MS[-1]

    days = [(LagBucket(day, "usmf", "order", "to_sales", 2), 5) for day in ("2026-11-26", "2026-11-27")]
    (lag,) = lags_of([*days, (LagBucket("2026-11-27", "usmf", "order", "to_sales", 99), 1)])
    assert (lag.changes, lag.p50_ms, lag.p99_ms) == (11, 3_875, 86_400_000)
