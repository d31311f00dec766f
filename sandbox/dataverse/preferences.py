"""What the `Prefer` header of a request asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sandbox.dataverse.reading import NO_ANNOTATIONS, Annotations, Look

MAX_PAGE: Final = 5000
_PART: Final = re.compile(r'\s*([\w.\-]+)(?:\s*=\s*("[^"]*"|[^,;]*))?\s*[,;]?')


@dataclass(frozen=True, slots=True)
class Preferences:
    """Preferences of one request.

    Attributes:
        page_size: Rows of a page, None where not asked for.
        representation: The row is wanted in the answer to a write.
        annotations: Which annotations are wanted.
        track_changes: A delta link is wanted.
        continue_on_error: A batch goes on after a failure.
        applied: The value of `Preference-Applied`.
    """

    page_size: int | None = None
    representation: bool = False
    annotations: Annotations = NO_ANNOTATIONS
    track_changes: bool = False
    continue_on_error: bool = False
    applied: str = ""

    @property
    def look(self) -> Look:
        """How rows are to be shown."""
        return Look(self.annotations, self.page_size)


NONE: Final = Preferences()


@lru_cache(maxsize=512)
def parse_prefer(header: str | None) -> Preferences:
    """Read a `Prefer` header; preferences that are not known are ignored, as HTTP demands."""
    if not header:
        return NONE
    given = {match[1].lower(): (match[2] or "").strip('" ') for match in _PART.finditer(header)}
    applied: list[str] = []
    page_size: int | None = None
    size = given.get("odata.maxpagesize", "")
    if size.isdigit() and int(size) > 0:
        page_size = min(int(size), MAX_PAGE)
        applied.append(f"odata.maxpagesize={size}")
    pattern = given.get("odata.include-annotations")
    if pattern:
        applied.append(f'odata.include-annotations="{pattern}"')
    representation = given.get("return") == "representation"
    if representation:
        applied.append("return=representation")
    track = "odata.track-changes" in given
    if track:
        applied.append("odata.track-changes")
    return Preferences(
        page_size=page_size,
        representation=representation,
        annotations=Annotations(pattern) if pattern else NO_ANNOTATIONS,
        track_changes=track,
        continue_on_error="odata.continue-on-error" in given,
        applied=",".join(applied),
    )
