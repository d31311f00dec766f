"""Dates as Dataverse and Finance write them in what they report: `/Date(milliseconds[offset])/`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_FORM = re.compile(r"/Date\((-?\d{1,17})([+-]\d{4})?\)/")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_json_date(text: str) -> datetime:
    """The moment, UTC. The milliseconds count from the epoch in UTC; the offset only says where they were written.

    Raises:
        ValueError: not of this form, or a moment no calendar holds.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("not a date of the form /Date(…)/")
    try:
        return _EPOCH + timedelta(milliseconds=int(found[1]))
    except OverflowError as error:
        raise ValueError("a date outside the years 1 to 9999") from error
