"""Links to what an answer leaves out: the next page, the rows of an expanded collection.

(Microsoft Learn: "Page results using OData", "Join tables using OData".)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from sandbox.dataverse import errors
from sandbox.odata.query import QueryOptions

ROOT: Final = "/api/data/v9.2"
"""Path of the Web API."""
_PLAIN: Final = "(),'/$="
_COOKIE: Final = re.compile(
    r'pagenumber="(\d+)"\s+pagingcookie="([^"]*)"\s+istracking="(True|False)"(?:\s+since="([^"]*)")?'
)


@dataclass(frozen=True, slots=True)
class Cookie:
    """Where a page begins: its number, the position in the order, and the delta token of a tracked query."""

    number: int
    position: str
    since: str = ""

    def text(self) -> str:
        """The cookie as it goes into `$skiptoken`."""
        since = f' since="{self.since}"' if self.since else ""
        tracking = bool(self.since)
        return f'<cookie pagenumber="{self.number}" pagingcookie="{self.position}" istracking="{tracking}"{since} />'


def read_cookie(text: str) -> Cookie:
    """A cookie from a next link.

    Raises:
        DataverseError: The link was changed.
    """
    match = _COOKIE.search(text)
    if match is None:
        raise errors.bad_query("The skip token is malformed.")
    return Cookie(int(match[1]), match[2], match[4] or "")


def with_token(link: str, name: str, value: str) -> str:
    """A link with one more query option."""
    return f"{link}{'&' if '?' in link else '?'}{name}={quote(value, safe='')}"


def with_options(address: str, options: QueryOptions) -> str:
    """An address with the query options of an expansion."""
    spelled = _spelled(options)
    return f"{address}?{'&'.join(spelled)}" if spelled else address


def _spelled(options: QueryOptions) -> list[str]:
    found: list[str] = []
    if options.select is not None:
        found.append(f"$select={','.join(options.select)}")
    if options.filter is not None:
        found.append(f"$filter={quote(options.filter, safe=_PLAIN)}")
    if options.orderby:
        keys = (f"{path} desc" if descending else path for path, descending in options.orderby)
        found.append(f"$orderby={quote(','.join(keys), safe=_PLAIN)}")
    if options.top is not None:
        found.append(f"$top={options.top}")
    if options.expand:
        items = (f"{item.name}({';'.join(_spelled(item.options))})".replace("()", "") for item in options.expand)
        found.append(f"$expand={','.join(items)}")
    return found
