"""Where a list goes on, as text a client gives back: Temporal's page token, marked as ours.

An invented token would make the server fail and try again for seconds, so an unmarked one never reaches it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from runs.calls import BadSearch

_ROWS = b"rows "
"""Before the number of rows in a cursor that holds no token of Temporal's."""


class Cursors:
    """Makes cursors of page tokens, and page tokens of its own cursors."""

    def __init__(self, key: bytes) -> None:
        """Mark cursors with ``key``, which every web process shares."""
        self._key = key

    def cursor(self, token: bytes | None) -> str:
        """The cursor of the next page; empty at the end of the list."""
        return base64.urlsafe_b64encode(self._mark(token) + token).decode() if token else ""

    def token(self, cursor: str) -> bytes | None:
        """The page token of a cursor; None for the first page.

        Raises:
            BadSearch: the cursor is none of ours.
        """
        token = self._content(cursor)
        if token is not None and token.startswith(_ROWS):
            raise _invalid()
        return token

    def _content(self, cursor: str) -> bytes | None:
        if not cursor:
            return None
        try:
            content = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            content = b""
        mark, token = content[:16], content[16:]
        if not token or not hmac.compare_digest(mark, self._mark(token)):
            raise _invalid()
        return token

    def cursor_of(self, number: int) -> str:
        """The cursor of a list that is read as a whole and goes on after so many rows."""
        return self.cursor(_ROWS + str(number).encode())

    def number(self, cursor: str) -> int:
        """After how many rows a list of that kind goes on.

        Raises:
            BadSearch: the cursor is none of ours, or of a list of the other kind.
        """
        token = self._content(cursor)
        if token is None:
            return 0
        if not token.startswith(_ROWS):
            raise _invalid()
        return int(token.removeprefix(_ROWS))

    def _mark(self, token: bytes) -> bytes:
        return hmac.digest(self._key, token, hashlib.sha256)[:16]


def _invalid() -> BadSearch:
    return BadSearch("Invalid cursor. Start again from the first page.", "cursor")
