"""Where the pages of deals and requests are: addresses of `web`, which this room may not import."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote as encoded
from urllib.parse import urlencode


def deal_pages(web_url: str) -> Callable[[str, str], str]:
    """Where the page of a deal is, by company and quote number."""
    return lambda company, quote_number: _page(web_url, "cases", company, quote_number)


def request_pages(web_url: str) -> Callable[[str, str, int], str]:
    """Where the page of a request for approval is, by company, quote number and number of the request."""
    return lambda company, quote_number, n: _page(web_url, "approvals", company, quote_number, str(n))


def account_pages(web_url: str) -> Callable[[str, str], str]:
    """Where the page of what is collected from an account is, by company and account."""
    return lambda company, account: _page(web_url, "collections", company, account)


def late_pages(web_url: str) -> Callable[[str], str]:
    """Where the list of what stands open without a running deal is, by company."""
    return lambda company: f"{web_url}/late?{urlencode({'company': company})}"


def parallel_pages(web_url: str) -> Callable[[str], str]:
    """Where both systems are seen beside each other, day by day, by company."""
    return lambda company: f"{web_url}/data/parallel?{urlencode({'company': company})}"


def _page(web_url: str, room: str, company: str, quote_number: str, *more: str) -> str:
    no_place = quote_number in (".", "..")  # a browser takes these for a way up
    parts = (room, company, "_" if no_place else quote_number, *more)
    page = web_url + "".join(f"/{encoded(part, safe='')}" for part in parts)
    return f"{page}?{urlencode({'quote': quote_number})}" if no_place else page
