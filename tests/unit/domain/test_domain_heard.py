"""An id of a message stands for one person, action and content, until the message expires."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from domain.heard import LONGEST, MOST, MOST_OF_ONE, Heard, content_digest
from domain.messages import VerifiedMessage
from domain.people import Person
from tests.rights import said
from tests.unit.domain.makers import T0

MONA, DIRK = Person(oid="mona"), Person(oid="dirk")


def message(message_id: str, who: Person = MONA, name: str = "retry", **args: Any) -> VerifiedMessage:
    return said(who, name, args, message_id=message_id, expires_at=T0 + timedelta(days=1))


def test_the_same_message_again_is_a_duplicate_and_another_one_under_its_id_is_refused() -> None:
    heard = Heard()
    assert heard.take(message("1", reason="r"), T0) is None
    assert heard.take(message("1", reason="r"), T0) == "DUPLICATE"
    assert heard.take(message("1", Person(oid="MONA"), reason="r"), T0) == "DUPLICATE"
    for other in (message("1", reason="s"), message("1", DIRK, reason="r"), message("1", name="abort", reason="r")):
        assert heard.take(other, T0) == "MESSAGE_ID_REUSED"


def test_a_replay_is_known_however_much_came_between() -> None:
    heard = Heard()
    assert heard.take(message("first"), T0) is None
    for number in range(20_000):
        person = Person(oid=f"person {number % 50}")
        heard.take(message(str(number), person), T0)
    assert heard.take(message("first"), T0) == "DUPLICATE"
    assert len(heard.kept) == MOST


def test_nobody_takes_the_room_of_the_others() -> None:
    heard = Heard()
    for number in range(5_000):
        heard.take(message(str(number)), T0)
    assert len(heard.kept) == MOST_OF_ONE
    assert heard.take(message("mine", DIRK), T0) is None
    assert heard.take(message("more"), T0) == "TOO_MANY_REQUESTS"


def test_what_has_expired_makes_room() -> None:
    heard = Heard()
    for number in range(MOST_OF_ONE):
        heard.take(message(str(number)), T0)
    assert heard.take(message("more"), T0 + timedelta(hours=23)) == "TOO_MANY_REQUESTS"
    assert heard.take(message("more"), T0 + timedelta(hours=25)) is None


def test_what_was_heard_goes_on_into_the_next_run() -> None:
    heard = Heard()
    heard.take(message("1"), T0)
    heard.take(message("2").model_copy(update={"expires_at": None}), T0)
    again = Heard(heard.kept)
    assert [each.until for each in again.kept] == [T0 + timedelta(days=1), T0 + LONGEST]
    assert again.take(message("1"), T0) == "DUPLICATE"


@pytest.mark.parametrize("args", [{}, {"a": 1, "b": "ü"}, {"b": "ü", "a": 1}])
def test_the_order_of_arguments_says_nothing(args: dict[str, Any]) -> None:
    assert content_digest("a", "b", args) == content_digest("A", "b", dict(sorted(args.items())))
