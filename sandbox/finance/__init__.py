"""Dynamics 365 Finance on this machine: entity sets over OData, a posting service, credit management, business events.

`Finance(origin)` is the environment (add companies, load data, post, query); `build_app(finance, authority)` serves it.
"""

from __future__ import annotations

from sandbox.finance.app import build_app
from sandbox.finance.books import Company, CreditSettings
from sandbox.finance.credit import Exposure
from sandbox.finance.errors import FinanceError, PostingRefused
from sandbox.finance.events import BusinessEvents, FailedEvent
from sandbox.finance.posting import BadServiceRequest
from sandbox.finance.system import Finance

__all__ = [
    "BadServiceRequest",
    "BusinessEvents",
    "Company",
    "CreditSettings",
    "Exposure",
    "FailedEvent",
    "Finance",
    "FinanceError",
    "PostingRefused",
    "build_app",
]
