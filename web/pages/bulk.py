"""Several approvals at once: those that are small and alike. Preview, then each by itself."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.approvals import ApprovalState, Decision
from domain.messages import Outcome
from domain.phrases import known, phrase
from domain.refusals import Refusal
from domain.rights import Action
from runs.approvals import Approvals
from runs.calls import RunError
from web import bulk
from web.access import Access
from web.bulk import MOST_APPROVED, Picked, each, sorted_out, total_net
from web.commands import DecisionBody, parsed, said
from web.confidential import request_for_reader
from web.decisions import Decisions
from web.pages.site import Site
from web.problems import Problem
from web.session import Session

_LOOK_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class BulkPages:
    """The preview of several approvals; each is said by itself through ``decisions``."""

    site: Site
    access: Access
    approvals: Approvals
    decisions: Decisions

    def routes(self) -> list[Route]:
        """The routes of the preview and of what it sends."""
        return self.site.routes(pages={"/bulk/approve": self.approve_preview}, forms={"/bulk/approve": self.approve})

    async def approve_preview(self, request: Request, session: Session) -> Response:
        """What of the picked steps would be approved together, and what stays on its own page."""
        texts = list(dict.fromkeys(request.query_params.getlist("pick")))
        picks = [Picked.parse(text) for text in texts[:MOST_APPROVED]]
        alike, left = await self._sorted_out(picks, session)
        context = {
            "found": [self._for_reader(picked, state, session) for picked, state, _ in alike],
            "left": left,
            "beyond": max(0, len(texts) - MOST_APPROVED),
            "most": MOST_APPROVED,
            "total": total_net(alike),
            "batch": str(uuid.uuid4()),
        }
        return await self.site.render("bulk_approve.html", session, context)

    async def approve(self, _request: Request, session: Session, form: FormData) -> Response:
        """Approve each of what the preview showed, as it was shown."""
        texts, hashes = _texts(form, "pick"), _texts(form, "seen_hash")
        if len(texts) != len(hashes) or len(texts) > MOST_APPROVED:
            raise Problem(Refusal.BAD_ARGUMENT, phrase("The form is incomplete. Load the page again."), field="pick")
        picks = [Picked.parse(text) for text in texts]
        shown = dict(zip(texts, hashes, strict=True))
        batch, comment = str(form.get("batch", "")), str(form.get("comment", ""))
        _, left = await self._sorted_out(picks, session)
        kept_apart = {out.picked.text: out.why for out in left if not out.gone}

        def saying(picked: Picked) -> Callable[[], Awaitable[Outcome | None]]:
            fields = {"decision": Decision.APPROVE, "comment": comment, "step": picked.step}
            body = parsed(DecisionBody, {**fields, "seen_hash": shown[picked.text]})

            async def say() -> Outcome | None:
                if why := kept_apart.get(picked.text):
                    raise Problem(
                        Refusal.BAD_ARGUMENT, phrase("Left out: {why}. Decide it on its own page.", why=known(why))
                    )
                mid = bulk.message_id(batch, picked.text)
                return await self.decisions.decide(picked.approval, session.who, mid, said(body))

            return say

        results = await each([(p.approval.deal.quote, p.approval.path(), saying(p)) for p in picks])
        return await self.site.render("bulk_done.html", session, {"results": results})

    async def _sorted_out(
        self, picks: list[Picked], session: Session
    ) -> tuple[list[bulk.Candidate], list[bulk.LeftOut]]:
        """What of the picks may be approved together, by how the requests stand now."""
        looks = (
            self.approvals.state(p.approval.deal.company, p.approval.deal.quote, p.approval.n, patience=_LOOK_SECONDS)
            for p in picks
        )
        found = await asyncio.gather(*looks, return_exceptions=True)
        for failure in found:
            if isinstance(failure, BaseException) and not isinstance(failure, RunError):
                raise failure
        states = [state for state in found if not isinstance(state, BaseException)]
        return sorted_out(picks, states, session.identity, self.access)

    def _for_reader(self, picked: Picked, state: ApprovalState, session: Session) -> bulk.Candidate:
        """A step as its reader may see it."""
        shows_margin = self.access.may(session.identity, Action.READ_MARGIN, picked.approval.deal.company)
        shown = request_for_reader(state, shows_margin=shows_margin)
        return picked, shown, next(step for step in shown.steps if step.plan.step == picked.step)


def _texts(form: FormData, name: str) -> list[str]:
    return [str(text) for text in form.getlist(name)]
