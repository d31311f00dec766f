"""What looking at one part of the blueprint found, and what every section of it does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from dynamics.core.errors import Refused
from dynamics.core.odata import ODataClient, Row
from dynamics.sales.setup.blueprint import SOLUTION

IN_SOLUTION: Final[Mapping[str, str]] = {"MSCRM.SolutionUniqueName": SOLUTION}
"""Header that puts what is created or changed into the product's solution."""
MERGE_LABELS: Final[Mapping[str, str]] = {"MSCRM.MergeLabels": "true"}
"""Header of a changed definition: labels in other languages stay."""
KEEP_LABELS: Final[Mapping[str, str]] = {**IN_SOLUTION, **MERGE_LABELS}
"""Headers of a changed definition that goes into the product's solution."""
AGAIN: Final = "Then run `q2c setup dataverse` again."
_ENGLISH = 1033
_FORBIDDEN = 403

Repair = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Finding:
    """How one part of the blueprint stands.

    Attributes:
        part: what was looked at, e.g. `column quote.q2c_approvalstatus`.
        problem: what is not as it should be; empty: nothing.
        repair: changes it; None: it is not safe to do, or not possible.
        doing: what the repair does, as an order: `create it`.
        remedy: what a person can do, where there is no repair.
        unknown: it could not be looked at; `problem` says why.
    """

    part: str
    problem: str = ""
    repair: Repair | None = None
    doing: str = ""
    remedy: str = ""
    unknown: bool = False


class Section(ABC):
    """A part of the blueprint that is looked at, and repaired, together; later ones build on earlier ones."""

    title: str
    needed_by_all: bool = False
    """Whether nothing after it can be set up without it."""

    def __init__(self, odata: ODataClient) -> None:
        """Work on an environment."""
        self.odata = odata

    async def find(self) -> list[Finding]:
        """How each part stands, in the order in which repairs must be done; reads only.

        What the caller may not read is unknown, not wrong.

        Raises:
            DynamicsError: it could not be read for another reason.
        """
        try:
            return await self.look()
        except Refused as refusal:
            if refusal.status != _FORBIDDEN:
                raise
            return [Finding(self.title, refusal.message, unknown=True)]

    @abstractmethod
    async def look(self) -> list[Finding]:
        """As `find`; a missing privilege raises Refused."""

    async def finish(self) -> None:
        """What must follow once repairs of this section were done."""
        return None

    async def publish(self, tables: Iterable[str]) -> None:
        """Let changed definitions of tables (logical names) take effect."""
        entities = "".join(f"<entity>{name}</entity>" for name in sorted(tables))
        if entities:
            xml = f"<importexportxml><entities>{entities}</entities></importexportxml>"
            await self.odata.action("PublishXml", {"ParameterXml": xml})


def definition_without_context(definition: Row) -> Row:
    """A definition as it was read, as it is sent back."""
    return {name: value for name, value in definition.items() if name != "@odata.context"}


def label(text: str) -> Row:
    """A Label in English, as definitions want it."""
    localized = {"@odata.type": "Microsoft.Dynamics.CRM.LocalizedLabel", "Label": text, "LanguageCode": _ENGLISH}
    return {"@odata.type": "Microsoft.Dynamics.CRM.Label", "LocalizedLabels": [localized]}


def listed(names: list[str] | tuple[str, ...]) -> str:
    """Names for people: `a, b and c`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""
