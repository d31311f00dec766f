"""How activities are declared: a class whose methods say what each takes and answers, and have no body."""

from __future__ import annotations

import inspect
from typing import TypeVar

from temporalio import activity

_Signatures = TypeVar("_Signatures")


def declares_activities(signatures: _Signatures) -> _Signatures:
    """Decorate a `Protocol`: each of its methods is the signature of the activity of its name.

    Workflows call activities by it; a class that implements some of them subclasses it.
    """
    for name, method in vars(signatures).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            activity.defn(name=name)(method)
    return signatures
