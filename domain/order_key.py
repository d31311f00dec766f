"""The key under which Finance holds a deal's order: the same however often it is computed."""

from __future__ import annotations

import base64
import hashlib
import re

_KEY = re.compile(r"Q2C-[A-Z2-7]{12}", re.IGNORECASE)


def order_key(environment: str, company: str, quote_number: str, revision: int) -> str:
    """The client-assigned sales order number, at most 20 characters.

    ``Q2C-`` and the first 12 characters of the base32 SHA-256 of environment, company, quote number and accepted
    revision (lifecycle: idempotency). It does not depend on a run, so that a reset or a restart finds the same order.
    """
    content = "|".join((environment, company, quote_number, str(revision)))
    digest = hashlib.sha256(content.encode()).digest()
    return "Q2C-" + base64.b32encode(digest).decode()[:12]


def refund_key(environment: str, deal_id: str, n: int) -> str:
    """The client's mark of a deal's n-th refund, at most 20 characters: ``Q2R-`` and a hash, as of ``order_key``."""
    digest = hashlib.sha256("|".join((environment, deal_id, str(n))).encode()).digest()
    return "Q2R-" + base64.b32encode(digest).decode()[:12]


def is_order_key(text: str) -> bool:
    """Whether a text is such a key: the mark that tells a deal's order from all others.

    It is the order's number where we send the number, and its customer requisition number where Finance numbers.
    Finance compares without case.
    """
    return _KEY.fullmatch(text) is not None
