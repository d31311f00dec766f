"""An environment looked at as a whole, and set up: section after section, because each builds on those before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from dynamics.core.errors import Conflict, NotFound, Refused
from dynamics.core.odata import ODataClient
from dynamics.sales.setup.access import Access
from dynamics.sales.setup.auditing import Auditing
from dynamics.sales.setup.findings import Finding, Section
from dynamics.sales.setup.schema import Schema
from dynamics.sales.setup.solution import Contents, Solution
from dynamics.sales.setup.webhook import Receiver, Webhook

_FORBIDDEN = 403


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a finding.

    Attributes:
        finding: the finding.
        done: whether it was repaired just now.
        error: why it could not be; empty: it was, or nothing was tried.
    """

    finding: Finding
    done: bool = False
    error: str = ""

    @property
    def settled(self) -> bool:
        """Whether the part is now as it should be."""
        return self.done or not self.finding.problem


def _sections(odata: ODataClient, application_id: str, receiver: Receiver, auditing: bool) -> Sequence[Section]:
    return (
        Solution(odata),
        Schema(odata),
        Access(odata, application_id),
        Webhook(odata, receiver),
        Auditing(odata, enable=auditing),
        Contents(odata),
    )


async def examine(
    odata: ODataClient, application_id: str, receiver: Receiver, *, auditing: bool = False
) -> AsyncIterator[Finding]:
    """How each part of the blueprint stands; reads only.

    Args:
        odata: The environment.
        application_id: Client id of the product's service application.
        receiver: Where webhooks should go.
        auditing: Whether auditing, which is a setting of the whole organization, may be turned on.

    Raises:
        DynamicsError: it could not be read, for another reason than a missing privilege.
    """
    for section in _sections(odata, application_id, receiver, auditing):
        for finding in await section.find():
            yield finding


async def set_up(
    odata: ODataClient, application_id: str, receiver: Receiver, *, auditing: bool = False
) -> AsyncIterator[Outcome]:
    """Repair what can be repaired safely; what is there already stays.

    Arguments as `examine`.

    Raises:
        DynamicsError: the caller may not do it, or the environment does not answer: nothing more is tried.
    """
    for section in _sections(odata, application_id, receiver, auditing):
        outcomes = []
        for finding in await section.find():
            outcomes.append(await _repaired(finding))
            yield outcomes[-1]
        if any(outcome.done for outcome in outcomes):
            await section.finish()
        if section.needed_by_all and not all(outcome.settled for outcome in outcomes):
            yield Outcome(Finding("everything else", f"it goes into the {section.title}", unknown=True))
            return


async def _repaired(finding: Finding) -> Outcome:
    """What became of a finding once it was repaired, where it can be.

    Raises:
        DynamicsError: the caller may not do it, or the environment does not answer.
    """
    if not finding.problem or finding.repair is None:
        return Outcome(finding)
    try:
        await finding.repair()
    except (Refused, Conflict, NotFound) as error:
        if error.status == _FORBIDDEN:
            raise
        return Outcome(finding, error=error.message)
    return Outcome(finding, done=True)
