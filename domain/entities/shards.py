"""How an entity set of Finance is cut into parts that are each one answer, by the beginning of the key.

A next link of Finance counts rows and keeps no snapshot: what is inserted before the place moves the rest, so that a
row comes twice or not at all. A part that fits into one page is one answer, and nothing can move in it. Texts cannot be
compared by `gt`, but a beginning can be asked for (`eq 'US-00*'`). So a part that is too large is cut by the next
character, until every part fits; the parts of a part must add up to it, or a character is missing from the alphabet.
As records come and go it is counted before its parts and after them, and they add up to what lies between.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from pydantic import Field

from domain.record import Record

PAGE_ROWS: Final = 10_000
"""Rows Finance gives in one page at most (Microsoft Learn: "Open Data Protocol (OData)")."""
ALPHABET: Final = string.digits + string.ascii_uppercase + "-_./ #&+:,@ÄÅÆÉÖØÜ"
"""Characters a key goes on with. Finance compares texts without regard to case."""
MOST_COUNTS: Final = 500
"""Counts asked for in one request."""
MOST_SHARDS: Final = 10_000
LONGEST: Final = 40
TRIES: Final = 3
"""How often parts that do not add up are counted anew: one may have been created and another deleted meanwhile."""


class Shard(Record):
    """Records whose key begins with a text, or is that text.

    Attributes:
        prefix: the beginning; empty: all records.
        exact: only the record whose key is the text.
        rows: how many there were when they were counted.
    """

    prefix: str = Field("", max_length=LONGEST)
    exact: bool = False
    rows: int = 0


class Split(Record):
    """A part that is still to be cut.

    Attributes:
        shard: the part.
        tries: how often its parts did not add up.
        grown: it did not fit into an answer, whatever its count says.
    """

    shard: Shard
    tries: int = 0
    grown: bool = False


class ShardPlan(Record):
    """The parts of an entity set.

    Attributes:
        shards: what fits into a page, in the order of their beginnings.
        open: what does not, and has to be cut further.
    """

    shards: tuple[Shard, ...] = ()
    open: tuple[Split, ...] = (Split(shard=Shard()),)

    @property
    def rows(self) -> int:
        """Records in what is planned."""
        return sum(shard.rows for shard in self.shards)


class CannotBeSplit(Exception):
    """Parts do not add up to their whole, or there are too many of them; the text says where."""


def to_count(plan: ShardPlan) -> list[Shard]:
    """What has to be counted next, in one request and this order: the first open parts with those they fall into."""
    found: list[Shard] = []
    for split in plan.open:
        parts = _asked(split)
        if found and len(found) + len(parts) > MOST_COUNTS:
            break
        found += parts
    return found


def counted(plan: ShardPlan, counts: Sequence[int], *, page_rows: int = PAGE_ROWS) -> ShardPlan:
    """The plan after a count.

    Args:
        plan: as it was.
        counts: rows of each part that ``to_count`` says, in its order.
        page_rows: what one answer holds.

    Raises:
        CannotBeSplit: as its text says.
    """
    shards, still, left = list(plan.shards), list[Split](), iter(counts)
    for split in plan.open:
        asked = _asked(split)
        numbers = list(islice(left, len(asked)))
        if not numbers:
            still.append(split)
            continue
        found = [part.model_copy(update={"rows": rows}) for part, rows in zip(asked, numbers, strict=True)]
        before, after = found[0].rows, found[-1].rows
        whole = max(before, after)
        if whole <= page_rows and not split.grown:
            shards += [found[0].model_copy(update={"rows": whole})] if whole else []
            continue
        if not split.shard.rows:
            still.append(Split(shard=found[0]))
            continue
        parts = [part for part in found[1:-1] if not part.exact]
        itself = [part for part in found[1:-1] if part.exact and part.prefix == split.shard.prefix]
        named = [part for part in found[1:-1] if part.exact and part.prefix != split.shard.prefix]
        wild = _rows(parts)
        # Whether `eq 'US*'` finds the record `US` as well is not documented; the sums tell. Where they leave it open,
        # both are read by name: a record that is read twice is one record.
        finds_itself = min(before, after) <= wild + _rows(itself) <= whole
        does_not = min(before, after) <= wild + _rows(named) <= whole
        if not (finds_itself or does_not):
            still.append(_again(split, before, wild + _rows(itself)))
            continue
        by_name = [*(itself if finds_itself else ()), *(named if does_not else ())]
        shards += [part for part in by_name if part.rows]
        shards += [part for part in parts if 0 < part.rows <= page_rows]
        still += [Split(shard=part) for part in parts if part.rows > page_rows]
    if len(shards) + len(still) > MOST_SHARDS:
        raise CannotBeSplit(f"more than {MOST_SHARDS:,} parts; {MOST_SHARDS:,} can be read")
    return ShardPlan(shards=tuple(shards), open=tuple(still))


def outgrown(plan: ShardPlan, shards: tuple[Shard, ...]) -> ShardPlan:
    """The plan with parts that have grown beyond a page meanwhile: they are cut further.

    Raises:
        CannotBeSplit: records that do not fit have all the same first part of a key.
    """
    for shard in shards:
        if shard.exact:
            raise CannotBeSplit(f"more than a page of records have the key '{shard.prefix}'")
    return plan.model_copy(update={"open": (*plan.open, *(Split(shard=shard, grown=True) for shard in shards))})


def _again(split: Split, whole: int, together: int) -> Split:
    if split.tries + 1 >= TRIES or len(split.shard.prefix) >= LONGEST:
        raise CannotBeSplit(
            f"{whole:,} records begin with '{split.shard.prefix}', and {together:,} of them go on with a known "
            "character: keys with other characters cannot be read in parts"
        )
    return split.model_copy(update={"tries": split.tries + 1})


def _asked(split: Split) -> list[Shard]:
    """What is counted of an open part: how much there is in all first, as most companies are one part."""
    if not split.shard.rows:
        return [split.shard]
    whole = Shard(prefix=split.shard.prefix)
    return [whole, *_parts(split.shard.prefix), whole]


def _parts(prefix: str) -> Iterator[Shard]:
    if prefix:
        yield Shard(prefix=prefix, exact=True)
    for sign in ALPHABET:
        yield Shard(prefix=prefix + sign)
        yield Shard(prefix=prefix + sign, exact=True)


def _rows(parts: Sequence[Shard]) -> int:
    return sum(part.rows for part in parts)


def sampled(plan: ShardPlan, seed: str) -> ShardPlan:
    """One part of a plan alone, the same for the same seed: what fits, or what has to be cut further."""
    choice = random.Random(seed)  # noqa: S311  # which part is looked at is no secret
    if plan.shards:
        return ShardPlan(shards=(choice.choice(plan.shards),), open=())
    return plan.model_copy(update={"open": (choice.choice(plan.open),) if plan.open else ()})
