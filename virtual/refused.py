"""A read that is not answered, and why."""

from __future__ import annotations

from domain.refusals import Refusal


class Refused(Exception):
    """What is refused: a code, and what is wrong with this very request; empty: the code says all."""

    def __init__(self, code: Refusal, detail: str = "", *, retry_after: int | None = None) -> None:
        super().__init__(detail or code.sentence)
        self.code = code
        self.detail = detail
        self.retry_after = retry_after


def bad(detail: str) -> Refused:
    """A request that is wrong in itself."""
    return Refused(Refusal.BAD_ARGUMENT, detail)
