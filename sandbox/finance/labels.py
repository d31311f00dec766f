"""Labels: the readable names behind `LabelId`.

The real environment keeps a label file per module and language; the sandbox has one, in English, made from the names
themselves: `@Sandbox:OrderedSalesQuantity` reads "Ordered sales quantity".
"""

from __future__ import annotations

import re
from typing import Final

PREFIX: Final = "@Sandbox:"
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


def label_id(name: str) -> str:
    """The label of a column, entity, enum or member."""
    return PREFIX + name


def label_text(identifier: str) -> str | None:
    """The text of a label; None for one of another label file."""
    if not identifier.startswith(PREFIX):
        return None
    words = _WORDS.findall(identifier.removeprefix(PREFIX))
    kept = [word if word.isupper() and len(word) > 1 else word.lower() for word in words]
    text = " ".join(kept)
    return text[:1].upper() + text[1:]
