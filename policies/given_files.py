"""Files that people give to a command: text of a bounded size, and JSON with exact numbers.

Whatever stands there instead (a folder, a pipe, another encoding, JSON without end) is one sentence with its name.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from policies.plain_text import one_line

LARGEST: Final = 100_000_000
"""Bytes of one file."""


class GivenFileError(ValueError):
    """A file that cannot be used; the text has a line for each problem, with the file and where in it."""


def read_text(file: Path) -> str:
    """The text of a file in UTF-8, with or without a byte-order mark.

    Raises:
        GivenFileError: it is no file, too large, no UTF-8 or cannot be read.
    """
    try:
        if not file.is_file():
            raise GivenFileError(f"{file}: not a file that can be read")
        if file.stat().st_size > LARGEST:
            raise GivenFileError(f"{file}: larger than {LARGEST:,} bytes")
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise GivenFileError(f"{file}: is not UTF-8 text") from error
    except OSError as error:
        raise GivenFileError(f"{file}: cannot be read: {error.strerror}") from error


def read_json(file: Path) -> Any:
    """The one JSON value of a file.

    Raises:
        GivenFileError: as ``read_text`` and ``parse_json``.
    """
    return parse_json(read_text(file), str(file))


def parse_json(text: str, where: str) -> Any:
    """A JSON value with exact numbers.

    Args:
        text: JSON; no key stands twice in an object, and no number is `NaN` or endless.
        where: it stands, for the error.

    Raises:
        GivenFileError: it is none.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise ValueError(f"{key!r} is written twice; keep one")
            found[key] = value
        return found

    def no_number(name: str) -> Any:
        raise ValueError(f"{name} is no number")

    try:
        return json.loads(text, parse_float=Decimal, parse_constant=no_number, object_pairs_hook=once)
    except RecursionError as error:
        raise GivenFileError(f"{where}: not valid JSON: too deeply nested") from error
    except (ValueError, ArithmeticError) as error:
        raise GivenFileError(one_line(f"{where}: not valid JSON: {error}")) from error
