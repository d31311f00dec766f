"""Where sessions are kept: in the memory of this process, or in the ledger's database for any number of them.

A store sees no name and no token of a browser: keys are hashes of what the browser holds, owners are hashes of who it
is, and contents are sealed. Libraries for Starlette keep one dictionary under one cookie and cannot end all sessions of
a person, so this is a table of four columns.
"""

from __future__ import annotations

from typing import Protocol

from cachetools import LRUCache

from ledger.opening import Ledger

MOST = 20_000
"""Sessions that one process keeps in memory; of more, the ones used longest ago end."""


class SessionStore(Protocol):
    """Keeps sealed sessions until they expire."""

    async def read(self, key: str, now: float) -> str | None:
        """A session's content; None where there is none, or it has expired. ``now`` in seconds since the epoch."""

    async def begin(self, key: str, owner: str, content: str, expires_at: float) -> None:
        """Keep a new session."""

    async def renew(self, key: str, content: str) -> bool:
        """Change the content of a session; False where it has ended meanwhile: no request brings it back."""

    async def remove(self, key: str) -> None:
        """End a session."""

    async def remove_all(self, owner: str) -> int:
        """End all sessions of an owner; how many there were."""


class MemorySessions:
    """Sessions that end with this process."""

    def __init__(self) -> None:
        """Keep none yet."""
        self._kept: LRUCache[str, tuple[str, str, float]] = LRUCache(MOST)

    async def read(self, key: str, now: float) -> str | None:
        """See ``SessionStore``."""
        kept = self._kept.get(key)
        return kept[1] if kept and kept[2] > now else None

    async def begin(self, key: str, owner: str, content: str, expires_at: float) -> None:
        """See ``SessionStore``."""
        self._kept[key] = (owner, content, expires_at)

    async def renew(self, key: str, content: str) -> bool:
        """See ``SessionStore``."""
        kept = self._kept.get(key)
        if kept is not None:
            self._kept[key] = (kept[0], content, kept[2])
        return kept is not None

    async def remove(self, key: str) -> None:
        """See ``SessionStore``."""
        self._kept.pop(key, None)

    async def remove_all(self, owner: str) -> int:
        """See ``SessionStore``."""
        theirs = [key for key, kept in list(self._kept.items()) if kept[0] == owner]
        for key in theirs:
            self._kept.pop(key, None)
        return len(theirs)


class LedgerSessions:
    """Sessions that all web processes share, and that outlive them."""

    def __init__(self, ledger: Ledger) -> None:
        """Keep them in ``ledger``."""
        self._ledger = ledger

    async def read(self, key: str, now: float) -> str | None:
        """See ``SessionStore``."""
        return await self._ledger.session(key, now)

    async def begin(self, key: str, owner: str, content: str, expires_at: float) -> None:
        """See ``SessionStore``."""
        await self._ledger.begin_session(key, owner, content, expires_at)

    async def renew(self, key: str, content: str) -> bool:
        """See ``SessionStore``."""
        return await self._ledger.renew_session(key, content)

    async def remove(self, key: str) -> None:
        """See ``SessionStore``."""
        await self._ledger.end_session(key)

    async def remove_all(self, owner: str) -> int:
        """See ``SessionStore``."""
        return await self._ledger.end_sessions(owner)
