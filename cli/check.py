"""The outcome of one check of `q2c doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Check:
    """Outcome of one check.

    Attributes:
        name: what was checked.
        status: how it went.
        text: what was found.
        remedy: what to do, where it failed.
    """

    name: str
    status: Literal["ok", "failed", "not checked"]
    text: str
    remedy: str = ""


def ok(name: str, text: str) -> Check:
    """All is well."""
    return Check(name, "ok", text)


def failed(name: str, text: str, remedy: str = "") -> Check:
    """Something is wrong."""
    return Check(name, "failed", text, remedy)


def not_checked(name: str, why: str) -> Check:
    """It could not be looked at."""
    return Check(name, "not checked", why)
