"""Addresses of deals and requests: how a quote number with any sign becomes part of one, and is read from it.

A quote number stands percent-encoded in its place, and may itself hold slashes, so it is matched as far as it goes and
everything else by what surrounds it. Only ``.`` and ``..`` have no form that survives a browser, which takes them for
a way up: they go into the query as ``quote``, with ``_`` in their place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote as encoded
from urllib.parse import urlencode

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request

from domain.phrases import phrase
from domain.refusals import Refusal
from web.problems import Problem

DEAL: Final = "/cases/{company}/{quote:quote}"
ORDER_LINES: Final = "/order-lines/{company}/{quote:quote}"
EXPLANATION: Final = "/explain/{company}/{quote:quote}"
ACCOUNT: Final = "/collections/{company}/{account:quote}"
APPROVAL: Final = "/approvals/{company}/{quote:quote}/{n:nth}"
CREDIT_REVIEW: Final = "/credit/{company}"
CREDIT_REBUILD: Final = "/credit/{company}/rebuild"
PARALLEL: Final = "/parallel/{company}"
PARALLEL_EXIT: Final = "/parallel/{company}/exit"
INITIAL: Final = "/initial/{company}/{entity}"
INITIAL_RUN: Final = "/initial/{company}/{entity}/run"
INITIAL_UNDO: Final = "/initial/{company}/{entity}/undo"
SYNC: Final = "/sync/{company}/{entity}"
SYNC_RUN: Final = "/sync/{company}/{entity}/run"
SYNC_SETTLE: Final = "/sync/{company}/{entity}/settle"
HISTORY: Final = "/history/{company}/{kind}"
HISTORY_RUN: Final = "/history/{company}/{kind}/run"
OVERVIEW: Final = "/data/overview"
LATE_DISMISS: Final = "/late/{company}/{n:nth}/dismiss"
COMPANY_LENGTH: Final = 10
QUOTE_LENGTH: Final = 100
"""Longest quote number that Dataverse allows (Microsoft Learn: quote.quotenumber)."""
_ELSEWHERE: Final = "_"
_NO_PLACE: Final = (".", "..")


class _QuoteNumber(Convertor[str]):
    """Any text, slashes and line breaks included."""

    regex = "(?s:.+)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return encoded(value, safe="")


class _Nth(Convertor[int]):
    """A number from 1 on, small enough to be one of ours."""

    regex = "[1-9][0-9]{0,5}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("quote", _QuoteNumber())
register_url_convertor("nth", _Nth())


@dataclass(frozen=True)
class Deal:
    """Which deal an address is of."""

    company: str
    quote: str

    @classmethod
    def of(cls, company: str, quote: str, elsewhere: str = "") -> Deal:
        """The deal of an address.

        Args:
            company: legal entity, in any case.
            quote: what stands in the place of the quote number.
            elsewhere: the quote number in the query; empty where it stands in its place.

        Raises:
            Problem: 404, no deal can have this company or number.
        """
        number = elsewhere or quote
        if not 0 < len(company) <= COMPANY_LENGTH or len(number) > QUOTE_LENGTH:
            raise Problem(Refusal.NOT_FOUND, phrase("Deal {quote} not found.", quote=number[:QUOTE_LENGTH]))
        return cls(company.lower(), number)

    @classmethod
    def asked(cls, request: Request) -> Deal:
        """The deal of a page's address. Raises as ``of``."""
        path = request.path_params
        return cls.of(path["company"], path["quote"], request.query_params.get("quote", ""))

    def path(self, *more: str, said: str = "") -> str:
        """The address of its page, or of what stands below it."""
        return _path("cases", self, *more, said=said)

    def lines_path(self, first_line: int = 0) -> str:
        """The address of a page of its order's lines, from the one after ``first_line`` on."""
        return _path("order-lines", self, **{"from": str(first_line)} if first_line else {})

    def explanation_path(self) -> str:
        """The address of what the quote would need if it were submitted now."""
        return _path("explain", self)


@dataclass(frozen=True)
class Approval:
    """Which request for approval an address is of."""

    deal: Deal
    n: int

    @classmethod
    def asked(cls, request: Request) -> Approval:
        """The request of a page's address.

        Raises:
            Problem: 404, there can be none.
        """
        return cls(Deal.asked(request), request.path_params["n"])

    def path(self, *more: str, said: str = "", first_line: int | None = None, meant: str = "") -> str:
        """The address of its page, or of what stands below it; ``first_line`` of the page of lines shown.

        ``meant`` is the decision that the page puts forward.
        """
        query = {"decide": meant} | ({} if first_line is None else {"from": str(first_line)})
        return _path("approvals", self.deal, str(self.n), *more, said=said, **query)


def account_path(company: str, account: str, *more: str | int, **query: str) -> str:
    """The address of what is collected from an account, or of what stands below it."""
    parts = ("collections", company, account, *map(str, more))
    path = "".join(f"/{encoded(part, safe='')}" for part in parts)
    given = urlencode({name: value for name, value in query.items() if value})
    return f"{path}?{given}" if given else path


def first_line(request: Request) -> int:
    """How many lines a page of lines leaves out; anything that is no number leaves out none."""
    text = request.query_params.get("from", "0")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0


def _path(room: str, deal: Deal, *more: str, **query: str) -> str:
    no_place = deal.quote in _NO_PLACE
    parts = (room, deal.company, _ELSEWHERE if no_place else deal.quote, *more)
    path = "".join(f"/{encoded(part, safe='')}" for part in parts)
    asked = {"quote": deal.quote if no_place else "", **query}
    given = urlencode({name: value for name, value in asked.items() if value})
    return f"{path}?{given}" if given else path
