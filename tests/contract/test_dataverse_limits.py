"""Service protection limits: 429 with the facet's code and Retry-After, for each user over a sliding window."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from sandbox.dataverse import DataverseError, Limits
from sandbox.dataverse.protection import ServiceProtection
from sandbox.odata.jsonio import decode
from tests.contract.dataverse_world import ORIGIN, RITA_OID, ROOT, World, person_token


class _Seconds:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _calls(protection: ServiceProtection, count: int, *, seconds: float = 0.0, user: str = "rita") -> None:
    for _ in range(count):
        protection.enter(user)
        protection.leave(user, seconds)


def test_microsofts_limits_are_the_default() -> None:
    assert Limits() == Limits(requests=6000, execution_seconds=1200.0, concurrent=52, window_seconds=300.0)


def test_the_request_after_the_last_allowed_one_waits_for_the_window() -> None:
    clock = _Seconds()
    protection = ServiceProtection(Limits(requests=6000), clock)
    _calls(protection, 6000)
    clock.now = 100.0

    with pytest.raises(DataverseError) as caught:
        protection.enter("rita")

    assert (caught.value.status, caught.value.code) == (429, "0x80072322")
    assert caught.value.message == "Number of requests exceeded the limit of 6000 over time window of 300 seconds."
    assert caught.value.headers["Retry-After"] == "200"
    protection.enter("ravi")
    clock.now = 300.5
    protection.enter("rita")


def test_a_user_that_keeps_asking_waits_longer() -> None:
    protection = ServiceProtection(Limits(requests=1), _Seconds())
    _calls(protection, 1)
    waits: list[int] = []
    for _ in range(3):
        with pytest.raises(DataverseError) as caught:
            protection.enter("rita")
        waits.append(int(caught.value.headers["Retry-After"]))

    assert waits == [300, 301, 302]


def test_execution_time_is_limited_too() -> None:
    protection = ServiceProtection(Limits(), _Seconds())
    _calls(protection, 3, seconds=400.0)

    with pytest.raises(DataverseError) as caught:
        protection.enter("rita")

    assert caught.value.code == "0x80072321"
    assert "exceeded limit of 1,200,000 milliseconds over time window of 300 seconds" in caught.value.message


async def test_too_many_requests_at_the_same_moment() -> None:
    sales = World(Limits(concurrent=3))
    sales.dataverse.execution_seconds = 0.05
    headers = {"Authorization": f"Bearer {sales.application}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sales.app), base_url=ORIGIN) as client:
        answers = await asyncio.gather(*(client.get(f"{ROOT}/WhoAmI", headers=headers) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 429, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert decode(refused.content)["error"] == {
        "code": "0x80072326",
        "message": "Number of concurrent requests exceeded the limit of 3.",
    }
    assert int(refused.headers["Retry-After"]) >= 1


def test_answers_tell_what_is_left_and_limits_can_be_changed(sales: World) -> None:
    first = sales.request("GET", "WhoAmI")
    assert first.headers["x-ms-ratelimit-burst-remaining-xrm-requests"] == "5999"
    assert "x-ms-ratelimit-time-remaining-xrm-requests" in first.headers

    sales.dataverse.protection.limits.requests = 1

    assert sales.request("GET", "WhoAmI").status_code == 429
    assert sales.request("GET", "WhoAmI", bearer=person_token(RITA_OID)).status_code == 200
