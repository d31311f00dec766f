"""The circuit of a system: what opens it, who may try, what closes it. The clock is moved by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dynamics.core.circuit import OPENS_AFTER, TRIALS, Circuit
from dynamics.core.errors import System, Throttled, Transient, Unreachable

HOUR = 3600.0


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuit(clock: Clock) -> Circuit:
    return Circuit(System.FINANCE, clock=clock)


def missed(circuit: Circuit, times: int = OPENS_AFTER) -> None:
    for _ in range(times):
        circuit.missed("HTTP 503")


def refused(check: Callable[[], None]) -> Unreachable:
    with pytest.raises(Unreachable) as refusal:
        check()
    return refusal.value


def tried(circuit: Circuit) -> bool:
    """Whether a trial is due; where it is, it is made, in vain."""
    if not circuit.may_try:
        return False
    with circuit.trial():
        circuit.missed("HTTP 503")
    return True


def test_five_requests_in_a_row_without_an_answer_open_it_and_four_do_not(circuit: Circuit) -> None:
    missed(circuit, OPENS_AFTER - 1)
    circuit.check("GET quotes")
    circuit.answered()
    missed(circuit, OPENS_AFTER - 1)
    circuit.check("GET quotes")
    circuit.missed("ConnectTimeout")
    refusal = refused(lambda: circuit.check("POST SalesOrderHeadersV4"))
    assert refusal.message == "not sent while the system does not answer (ConnectTimeout)"
    assert refusal.operation == "POST SalesOrderHeadersV4"
    assert isinstance(refusal, Transient) and refusal.retry_after == TRIALS[0]


def test_trials_go_after_five_seconds_first_and_once_a_minute_from_then_on(circuit: Circuit, clock: Clock) -> None:
    missed(circuit)
    began, times = clock.now, []
    while clock.now < began + 2 * HOUR:
        if tried(circuit):
            times.append(clock.now - began)
        clock.now += 1
    assert times[:6] == [5.0, 15.0, 35.0, 75.0, 135.0, 195.0]
    assert 120 <= len(times) <= 124


def test_one_trial_goes_at_a_time_and_one_that_came_to_nothing_is_made_again_at_once(
    circuit: Circuit, clock: Clock
) -> None:
    missed(circuit)
    assert not circuit.may_try
    clock.now += TRIALS[0]
    with pytest.raises(RuntimeError), circuit.trial():
        assert not circuit.may_try
        refused(lambda: circuit.check("GET quotes"))
        raise RuntimeError("the worker stops, or Entra ID gives no token")
    assert circuit.may_try


def test_the_first_answer_closes_it_and_the_next_outage_begins_with_short_pauses_again(
    circuit: Circuit, clock: Clock
) -> None:
    missed(circuit)
    for _ in range(10):
        clock.now += 60
        assert tried(circuit)
    clock.now += 60
    with circuit.trial():
        circuit.answered()
    assert not circuit.is_open
    circuit.check("GET quotes")
    missed(circuit)
    assert refused(lambda: circuit.check("GET quotes")).retry_after == TRIALS[0]


def test_answers_and_silences_to_what_was_sent_before_it_opened(circuit: Circuit, clock: Clock) -> None:
    """Twenty requests were under way: their silences put off no trial, an answer among them closes it."""
    missed(circuit)
    clock.now += 3
    missed(circuit, 15)
    clock.now += 2
    assert circuit.may_try
    circuit.answered()
    circuit.check("GET quotes")


def test_in_a_pause_nothing_goes_and_no_trial_either(circuit: Circuit, clock: Clock) -> None:
    circuit.pause(30)
    with pytest.raises(Throttled) as pause:
        circuit.check("GET quotes")
    assert pause.value.retry_after == 30
    missed(circuit)
    assert refused(lambda: circuit.check("GET quotes")).retry_after == 30
    clock.now += 29
    assert not circuit.may_try
    clock.now += 1
    assert circuit.may_try
