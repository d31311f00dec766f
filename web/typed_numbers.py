"""Numbers as people type them into a form: as their language writes them, or plainly with a point, and never misread.

``1.234`` is a thousand and more to a German, and little more than one to a program: where a number could be either,
nothing is done and the person is asked to write it otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from domain.phrases import phrase
from domain.refusals import Refusal
from web.languages import current
from web.problems import Problem

_BLANKS = str.maketrans({"\u00a0": " ", "\u202f": " "})


def as_number(field: str, typed: str) -> str:
    """What was typed as a plain number with a point; what is no number stays, to be refused where it is used.

    Raises:
        Problem: 400, it can be read in two ways.
    """
    text, language = typed.strip().translate(_BLANKS), current()
    group, mark = re.escape(language.group_mark), re.escape(language.decimal_mark)
    if re.fullmatch(rf"[+-]?[1-9]\d{{0,2}}{group}\d{{3}}", text):
        whole, _, rest = text.partition(language.group_mark)
        said = phrase(
            "{typed} can be read in two ways. Write {whole}, or {fraction} if it has decimals.",
            typed=text,
            whole=whole + rest,
            fraction=f"{whole}{language.decimal_mark}{rest}",
        )
        raise Problem(Refusal.BAD_ARGUMENT, said, field=field)
    if re.fullmatch(rf"[+-]?[1-9]\d{{0,2}}(?:(?:{group}\d{{3}})+|(?: \d{{3}})+)(?:{mark}\d+)?", text):
        return text.replace(language.group_mark, "").replace(" ", "").replace(language.decimal_mark, ".")
    if re.fullmatch(rf"[+-]?\d+{mark}\d+", text):
        return text.replace(language.decimal_mark, ".")
    return text


def numbers_typed(given: Mapping[str, str], *fields: str) -> dict[str, str]:
    """The fields of a form, with those that are numbers as plain ones. Raises as ``as_number``."""
    return {name: as_number(name, text) if name in fields else text for name, text in given.items()}


def to_type(value: Decimal | str) -> str:
    """A number as it stands in a field, so that it is read as it was meant; what was typed stays as it was."""
    return value if isinstance(value, str) else f"{value:f}".replace(".", current().decimal_mark)
