"""Whose it is to do something about what was refused or went wrong."""

from __future__ import annotations

from enum import StrEnum


class FixedBy(StrEnum):
    """Whose it is to do something about a refusal."""

    CALLER = "caller"
    """Whoever sent it: the program or the page, by sending it right."""
    REP = "rep"
    APPROVER = "approver"
    CREDIT_MANAGER = "credit manager"
    ACCOUNTS_RECEIVABLE = "accounts receivable"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"
    NOBODY = "nobody"
    """It is settled, or passes by itself."""
