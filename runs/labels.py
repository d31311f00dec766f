"""The names that lists show of a deal. They stand in its memo, which is sealed like every payload and is no filter.

Search attributes are stored in clear, so no name may be one; a list opens the memos of the rows it shows.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from domain.record import Record

LABELS: Final = "q2c_labels"
"""Key of the memo."""
_LONGEST: Final = 300


class DealLabels(Record):
    """What a list shows of a deal beside its search attributes."""

    name: str = ""
    customer_name: str = ""
    owner: str = ""
    reference: str = ""

    @classmethod
    def of(cls, name: str, customer_name: str, owner: str, reference: str = "") -> DealLabels:
        """Labels short enough for a memo."""
        return cls(
            name=name[:_LONGEST],
            customer_name=customer_name[:_LONGEST],
            owner=owner[:_LONGEST],
            reference=reference[:_LONGEST],
        )


def folded(text: str) -> str:
    """A text as it is compared when somebody searches: without case and accents, ``Ärger`` is ``arger``."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in apart if not unicodedata.combining(sign))
