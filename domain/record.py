"""The base of every value the rules work on.

Values are frozen: a rule returns a new value and never changes one it was given. Unknown fields are ignored on
reading, so that a history written by a newer version still loads in an older one during a rolling deploy.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict
from pydantic_core import ErrorDetails


class Record(BaseModel):
    """A frozen value with named, validated fields."""

    model_config = ConfigDict(frozen=True, extra="ignore")


_IN_WORDS: Final[dict[str, str]] = {
    "missing": "is missing; add it",
    "extra_forbidden": "is not a setting here; correct its name or remove it",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "decimal_type": "must be a number",
    "decimal_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text; put it in quotes",
    "dict_type": "must be a mapping of names to values",
    "model_type": "must be a mapping of names to values",
    "model_attributes_type": "must be a mapping of names to values",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "path_type": "must be a path",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}


def problem_in_words(problem: ErrorDetails) -> str:
    """What is wrong with a value of a file or a setting, in words for the person who wrote it.

    Args:
        problem: one of the errors of a `pydantic.ValidationError`.

    Returns:
        The rest of a sentence whose subject is the field, e.g. "must be greater than 0".
    """
    known = _IN_WORDS.get(problem["type"])
    if known:
        return known
    text = problem["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return text.replace("Input should be", "must be").replace("String should", "must")
