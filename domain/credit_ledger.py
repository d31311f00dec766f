"""What a deal and its customer's credit ledger say to each other."""

from __future__ import annotations

from decimal import Decimal

from domain.credit import CreditBook, ReleaseToken
from domain.credit_facts import CreditDecision, CreditFacts
from domain.policy import CreditTerms
from domain.record import Record


class LedgerRequest(Record):
    """What the customer's ledger is asked: a deal's question with the policy's terms for the customer."""

    deal_id: str
    order_number: str
    amount: Decimal
    facts: CreditFacts
    terms: CreditTerms
    release: ReleaseToken | None = None


class CreditAnswer(Record):
    """The ledger's answer; no decision where the facts were too old to decide on."""

    decision: CreditDecision | None
    stale: str = ""


class LedgerStart(Record):
    """Whose credit; ``book`` and ``seen`` are what the run before it held (set when it continues as new)."""

    company: str
    customer_account: str
    book: CreditBook = CreditBook()
    seen: tuple[str, ...] = ()
