"""Which reports were seen, as 8 bytes each: small enough to travel from run to run, however long their ids.

Forgetting costs a second delivery and never loses a report: whoever is told ignores what it knows. Two keys of the same
digest are one in 10 million million, at 20,000 keys; a document passed over so is found by its deal's daily look.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Final

MOST: Final = 20_000
"""Keys remembered unless said otherwise: 160 kB, more than two days of a company's own documents."""


class Digest:
    """Which keys were seen, the newest last; the oldest are forgotten where there are too many."""

    def __init__(self, packed: str = "", most: int = MOST) -> None:
        """Read a packed digest; one that is damaged counts as empty. ``most`` are remembered."""
        self._most = most
        try:
            raw = base64.b64decode(packed, validate=True)
        except ValueError:
            raw = b""
        self._marks = dict.fromkeys(raw[at : at + 8] for at in range(0, len(raw) - 7, 8))

    def __contains__(self, key: str) -> bool:
        return _mark(key) in self._marks

    def __len__(self) -> int:
        return len(self._marks)

    @property
    def full(self) -> bool:
        """Whether one more key would cost another."""
        return len(self._marks) >= self._most

    def add(self, key: str) -> None:
        """Remember a key as the newest."""
        mark = _mark(key)
        self._marks.pop(mark, None)
        self._marks[mark] = None
        while len(self._marks) > self._most:
            del self._marks[next(iter(self._marks))]

    def keep(self, keys: Iterable[str]) -> None:
        """Forget all others."""
        wanted = {_mark(key) for key in keys}
        self._marks = {mark: None for mark in self._marks if mark in wanted}

    def packed(self) -> str:
        """As text for a payload."""
        return base64.b64encode(b"".join(self._marks)).decode()


def _mark(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=8).digest()
