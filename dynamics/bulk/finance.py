"""What is asked of Finance in bulk, and what an answer holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from domain.entities.comparing import Comparison
from domain.entities.shards import Shard
from dynamics.bulk.texts import KEY, VALUE, text_of
from dynamics.core.batch import chunks
from dynamics.core.literals import literal, query
from dynamics.core.odata import Row

KEYS_PER_READ = 10
"""Columns compared in one filter, beside the map's own: ASP.NET takes 100 nodes, and what Finance takes is not said."""


def count(of: Comparison, shard: Shard) -> str:
    """The path that counts a shard: one row and the number of all."""
    condition = _condition(of, shard)
    return query(
        of.finance_set, cross_company="true", filter=condition or None, count="true", top=1, select=of.finance_key[0]
    )


def read(of: Comparison, shard: Shard) -> str:
    """The path that reads a shard whole, and counts it in the same answer."""
    condition = _condition(of, shard)
    columns = ",".join(of.finance_columns)
    return query(of.finance_set, cross_company="true", filter=condition or None, count="true", select=columns)


def read_keys(of: Comparison, keys: Iterable[Sequence[str]]) -> list[str]:
    """Paths that read the records of keys, in pages of a few keys each."""
    columns = ",".join(of.finance_columns)
    asked = [_of_key(of.finance_key, key) for key in keys]
    found: list[str] = []
    for some in chunks(asked, max(1, KEYS_PER_READ // len(of.finance_key))):
        either = some[0] if len(some) == 1 else f"({' or '.join(some)})"
        condition = f"{of.finance_filter} and {either}" if of.finance_filter else either
        found.append(query(of.finance_set, cross_company="true", filter=condition, select=columns))
    return found


def records(of: Comparison, rows: Iterable[Row]) -> Iterator[Mapping[str, str | None]]:
    """Rows as the columns of a page."""
    for row in rows:
        keys = {f"{KEY}{n}": text_of(row.get(column)) for n, column in enumerate(of.finance_key)}
        values = {f"{VALUE}{n}": text_of(row.get(field.finance)) for n, field in enumerate(of.fields)}
        yield keys | values


def _condition(of: Comparison, shard: Shard) -> str:
    if not shard.prefix:
        return of.finance_filter
    begins = f"{of.finance_key[0]} eq {literal(shard.prefix if shard.exact else f'{shard.prefix}*')}"
    return f"{of.finance_filter} and {begins}" if of.finance_filter else begins


def _of_key(columns: Sequence[str], key: Sequence[str]) -> str:
    parts = [f"{column} eq {literal(value)}" for column, value in zip(columns, key, strict=True)]
    return parts[0] if len(parts) == 1 else f"({' and '.join(parts)})"
