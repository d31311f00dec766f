"""Text for a terminal or a log, made of what somebody else wrote."""

from __future__ import annotations


def one_line(text: str) -> str:
    """A text as one line: what is no printable character is escaped, so that nothing in it can pose as another."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(text.split()))
