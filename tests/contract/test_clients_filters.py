"""No filter that the client writes is more than Finance takes."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from dynamics.finance import queries
from sandbox.finance.behaviour import Behaviour
from sandbox.odata.filters import count_nodes


@pytest.mark.parametrize("count", [1, 15, 16, 20, 25, 200])
def test_a_quote_of_many_items_is_read_in_filters_that_finance_takes(count: int) -> None:
    items = [f"ITEM-{number}" for number in range(count)]
    asked = [listing for several in queries.prices("usmf", items).values() for listing in several]
    filters = [parse_qs(urlsplit(listing.path).query)["$filter"][0] for listing in asked]
    assert max(map(count_nodes, filters)) <= Behaviour().filter_nodes
    assert all(any(f"'{item}'" in text for text in filters) for item in items)
