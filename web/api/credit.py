"""The operations of the API on credit ledgers."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import FastAPI
from starlette.responses import Response

from domain.credit_review_said import CreditReviewView
from web.addresses import CREDIT_REBUILD, CREDIT_REVIEW
from web.api.application import Caller, problems
from web.api.bodies import Accepted
from web.api.routes import OUTCOMES, AskedCompany, answered
from web.commands import RebuildCreditBody
from web.credit_review import CreditReviewing


def add_credit(api: FastAPI, credit: CreditReviewing) -> None:
    """Add the operations on credit ledgers."""
    answers: dict[str, Any] = {"response_model": Accepted, "responses": {**OUTCOMES, **problems(403, 404, 409, 502)}}

    @api.get(CREDIT_REVIEW, operation_id="readCreditReview", responses=problems(403, 404, 502))
    async def read_credit_review(company: AskedCompany, who: Caller) -> CreditReviewView:
        """What the last comparison of a company's credit ledgers with deals and Finance found."""
        return await credit.read(who.person, company)

    @api.post(CREDIT_REBUILD, operation_id="rebuildCredit", **answers)
    async def rebuild_credit(company: AskedCompany, body: RebuildCreditBody, who: Caller) -> Response:
        """Compare one customer's credit ledger, or all, with deals and Finance, and make it anew."""
        message_id = str(body.message_id or uuid.uuid4())
        return answered(message_id, await credit.rebuild(company, who, message_id, body))
