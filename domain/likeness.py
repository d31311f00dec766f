"""How alike a customer of Sales and one of Finance are: a score from 0 to 100, with its reasons.

Names are compared in a normal form: without case, accents, punctuation and legal forms. How far two of them differ is
rapidfuzz's to say. Everything else only adds to that, or takes off.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from rapidfuzz import fuzz

from domain.customers import AccountInSales, Candidate, KnownCustomer, MatchReason
from domain.customers_policy import CustomerPolicy
from domain.phrases import percent, phrase

_ACCENTS: Final = re.compile("[\u0300-\u036f]")
_SILENT: Final = re.compile(r"[.'’`´]")
_APART: Final = re.compile(r"[^\w]+|_+")
_LONGEST: Final = 400
"""Characters of a name that are looked at."""
_SHORTEST: Final = 3
"""Characters of a run that finds few others."""


def normal_form(name: str, legal_forms: Sequence[str]) -> str:
    """A name without what tells no customers apart; the same again where it is normalised already.

    >>> normal_form("CONTOSO, Ltd.", ("Ltd", "Limited")) == normal_form("Contoso Limited", ("Ltd", "Limited"))
    True
    """
    words = _plain(name[:_LONGEST])
    forms = _forms(tuple(legal_forms))
    while True:
        shorter = _without_form(words, forms)
        if shorter == words:
            return words
        words = shorter


def _plain(text: str) -> str:
    """Lower case, without accents, punctuation as blanks."""
    for _ in range(5):  # folding may bring signs along that fold again
        folded = _ACCENTS.sub("", unicodedata.normalize("NFKD", text)).casefold().replace("&", " and ")
        folded = _APART.sub(" ", _SILENT.sub("", folded)).strip()
        plain = unicodedata.normalize("NFC", folded)
        if plain == text:
            break
        text = plain
    return text


@lru_cache(maxsize=8)
def _forms(legal_forms: tuple[str, ...]) -> tuple[str, ...]:
    """Legal forms as they stand in a normal form, the longest first."""
    return tuple(sorted({_plain(form) for form in legal_forms} - {""}, key=lambda form: (-len(form), form)))


def _without_form(words: str, forms: tuple[str, ...]) -> str:
    """A name without one legal form; a name that is nothing else stays."""
    for form in forms:
        if not form.isascii():  # written without a blank, before or after the name
            rest = words.removeprefix(form).removesuffix(form).strip()
        else:
            rest = words[: -len(form) - 1].strip() if words.endswith(f" {form}") else words
            rest = rest.removesuffix(" and")
        if rest and rest != words:
            return rest
    return words


def tax_form(number: str) -> str:
    """A tax number without what people write between its signs."""
    return "".join(sign for sign in _plain(number).upper() if sign.isalnum())


def mail_domain(email: str, public_mail: Sequence[str]) -> str:
    """The domain of an address that says whose it is; empty where it says nothing."""
    domain = email.rpartition("@")[2].strip().casefold() if "@" in email else ""
    return "" if domain in {each.casefold() for each in public_mail} else domain


def search_word(name: str, legal_forms: Sequence[str]) -> str:
    """What a customer of a like name is looked for by in Finance, which compares without case but with accents.

    The longest run of plain letters and digits that is no legal form; of a name without one, all of it. Empty where
    there is no name.
    """
    forms = _forms(tuple(legal_forms))
    runs = [run for run in re.findall(r"[A-Za-z0-9]+", name[:_LONGEST]) if run.casefold() not in forms]
    best = max(runs, key=len, default="")
    return best if len(best) >= _SHORTEST else normal_form(name, legal_forms)


def compared(account: AccountInSales, customer: KnownCustomer, policy: CustomerPolicy, *, key: str) -> Candidate:
    """A customer of Finance, scored against an account of Sales.

    Args:
        account: of Sales.
        customer: of Finance.
        policy: what counts how much.
        key: what marks the customer that was made of this account.
    """
    rules, reasons = policy.likeness, []
    ours, theirs = (normal_form(name, policy.legal_forms) for name in (account.name, customer.name))
    score = int(fuzz.token_sort_ratio(ours, theirs)) if ours and theirs else 0
    if ours and ours == theirs:
        reasons.append(MatchReason.of("same_name", phrase("same name but for case, accents and legal form")))
    elif score:
        reasons.append(MatchReason.of("like_name", phrase("names alike by {score}", score=percent(str(score)))))
    tax = tax_form(account.tax_number), tax_form(customer.tax_number)
    if all(tax) and tax[0] == tax[1]:
        score = max(score, rules.same_tax_number)
        reasons.append(MatchReason.of("same_tax_number", phrase("same tax number {tax}", tax=customer.tax_number)))
    elif all(tax):
        score -= rules.other_tax_number
        reasons.append(MatchReason.of("other_tax_number", phrase("another tax number {tax}", tax=customer.tax_number)))
    domain = mail_domain(account.email, policy.public_mail)
    if domain and domain == mail_domain(customer.email, policy.public_mail):
        score += rules.same_email_domain
        reasons.append(MatchReason.of("same_email_domain", phrase("same mail domain {domain}", domain=domain)))
    if (here := _address(account)) and here == _address(customer):
        score += rules.same_address
        reasons.append(MatchReason.of("same_address", phrase("same street and postal code")))
    if key and customer.key.casefold() == key.casefold():
        score = 100
        reasons.insert(0, MatchReason.of("made_for_it", phrase("created from this account before")))
    return Candidate(
        account=customer.account, name=customer.name, score=min(max(score, 0), 100), reasons=tuple(reasons)
    )


def _address(of: AccountInSales | KnownCustomer) -> str:
    street, postal_code = _plain(of.street), tax_form(of.postal_code)
    return f"{street}|{postal_code}" if street and postal_code else ""
