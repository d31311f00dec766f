"""The base of every value the rules work on.

Values are frozen: a rule returns a new value and never changes one it was given. Unknown fields are ignored on
reading, so that a history written by a newer version still loads in an older one during a rolling deploy.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen value with named, validated fields."""

    model_config = ConfigDict(frozen=True, extra="ignore")
