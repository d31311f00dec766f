"""The operations of the API on what is collected from customers' accounts."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Query
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from domain.collection_words import DISPUTE, PAUSE, PROMISE, RESOLVE, RESUME
from domain.collections import LONGEST_NUMBER, CollectionsView, Letter
from domain.messages import Outcome
from domain.refusals import Refusal
from runs.collections import AccountPage
from web.addresses import ACCOUNT, COMPANY_LENGTH
from web.api.application import Caller, problems
from web.api.bodies import Accepted, Recorded
from web.collecting import Accounts, AccountsQuery
from web.commands import ACCOUNT_BODIES, parsed
from web.problems import Problem

_OUTCOMES: dict[int | str, dict[str, Any]] = {
    200: {"description": "Accepted by the account"},
    202: {"description": "Recorded; the outcome is not known yet", "model": Recorded},
}
_Words = DISPUTE, RESOLVE, PROMISE, PAUSE, RESUME
LETTER = f"{ACCOUNT}/letters/{{n}}"


class Pdf(Response):
    """A letter as a file."""

    media_type = "application/pdf"


class AccountBody(CollectionsView):
    """An account as it stands, and the day it is in its company now."""

    now: date = Field(description="In the calendar of the company")


class SayBody(BaseModel):
    """What is said to an account; which arguments it takes hangs on its name."""

    message_id: uuid.UUID | None = Field(None, description="Same id sent again: same outcome, counted once")
    args: dict[str, Any] = Field(default_factory=dict)


def _account(
    company: Annotated[str, Path(max_length=COMPANY_LENGTH, description="Finance legal entity, in any case")],
    account: Annotated[str, Path(max_length=LONGEST_NUMBER, description="Account in Finance that is billed")],
) -> tuple[str, str]:
    return company.lower(), account


Asked = Annotated[tuple[str, str], Depends(_account)]
Number = Annotated[int, Path(ge=1, le=999_999, description="Number of the letter within the account")]


def add_collections(api: FastAPI, accounts: Accounts) -> None:
    """Add the operations: list, account, letters, and what people may say."""

    @api.get("/collections", operation_id="listAccounts", responses=problems(403))
    async def list_accounts(query: Annotated[AccountsQuery, Query()], who: Caller) -> AccountPage:
        """Accounts that are billed by deals, with what is overdue, the one that began last in front."""
        return await accounts.page(who.person, query)

    @api.get(f"{LETTER}/pdf", operation_id="readLetterAsPdf", responses=problems(403, 404, 502), response_class=Pdf)
    async def read_letter_as_pdf(asked: Asked, n: Number, who: Caller) -> Response:
        """A letter as PDF. It is written, never sent, by this product."""
        return await pdf_answer(accounts, await accounts.letter(who.person, *asked, n))

    @api.get(LETTER, operation_id="readLetter", responses=problems(403, 404, 502))
    async def read_letter(asked: Asked, n: Number, who: Caller) -> Letter:
        """What a letter says, as it was written down."""
        return await accounts.letter(who.person, *asked, n)

    @api.post(
        f"{ACCOUNT}/commands/{{name}}",
        operation_id="tellAccount",
        response_model=Accepted,
        responses={**_OUTCOMES, **problems(403, 404, 409, 502)},
    )
    async def tell_account(asked: Asked, name: str, who: Caller, body: SayBody) -> Response:
        """Note a dispute, how it was settled, a promise to pay, a rest, or the end of one."""
        args = parsed(account_body(name), body.args)
        message_id = str(body.message_id or uuid.uuid4())
        signed: dict[str, Any] = args.signed_args  # type: ignore[attr-defined]
        return _answer(message_id, await accounts.say(*asked, who, message_id, name, signed))

    @api.get(ACCOUNT, operation_id="readAccount", responses=problems(403, 404, 502))
    async def read_account(asked: Asked, who: Caller) -> AccountBody:
        """An account as it stands: invoices with their levels, letters, what happened, and what comes next."""
        view = await accounts.view(who.person, *asked)
        return AccountBody(**dict(view), now=accounts.today(asked[0]))


def account_body(name: str) -> type[BaseModel]:
    """How a message to an account is spelt.

    Raises:
        Problem: 404, there is no such message.
    """
    if name not in ACCOUNT_BODIES:
        raise Problem(Refusal.NOT_FOUND, f"There is no command {name[:50]!r}; there are {', '.join(_Words)}.")
    return ACCOUNT_BODIES[name]


async def pdf_answer(accounts: Accounts, letter: Letter) -> Response:
    """A letter as a download. Raises as ``Accounts.pdf``."""
    safe = "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in letter.account if sign.isascii())
    name = f"letter-{letter.company}-{safe}-{letter.n}.pdf"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Pdf(await accounts.pdf(letter), headers=headers)


def _answer(message_id: str, outcome: Outcome | None) -> Response:
    if outcome is None:
        return JSONResponse(Recorded(message_id=message_id).model_dump(mode="json"), 202)
    return JSONResponse(Accepted(message_id=message_id, detail=outcome.detail).model_dump(mode="json"))
