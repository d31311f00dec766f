"""Where a list goes on, as text a client gives back: Temporal's page token, marked as ours.

An invented token would make the server fail and try again for seconds, so an unmarked one never reaches it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from runs.calls import BadSearch


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
        if not cursor:
            return None
        try:
            content = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            content = b""
        mark, token = content[:16], content[16:]
        if not token or not hmac.compare_digest(mark, self._mark(token)):
            raise BadSearch("Invalid cursor. Start again from the first page.", "cursor")
        return token

    def _mark(self, token: bytes) -> bytes:
        return hmac.digest(self._key, token, hashlib.sha256)[:16]
