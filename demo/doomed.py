"""The worker of a chaos run: the product's own, which dies at a boundary of an activity when it is told to.

    python -m demo.doomed

A worker that something kills at a random moment dies in the middle of nothing most of the time. Here it ends with
SIGKILL just where it hurts: before an activity has done anything, when it has done its work and nobody knows, or when
that has just been told. Who wants it to die leaves notes in a folder; the worker renames the one it comes by first as
its last deed.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from temporalio.activity import _Definition
from temporalio.client import Client

from workers.composition import compose
from workers.logs import configure_logging
from workers.mode import Process, require
from workers.serving import run_process
from workers.settings import Settings, load_settings
from workers.telemetry import start_telemetry
from workers.worker import Work, run_worker

TOLD_AFTER: Final = 0.3
"""Seconds in which the end of an activity has surely reached Temporal."""
_KNOWN: Final = "activities.json"


class Boundary(StrEnum):
    """Where in an activity the worker dies."""

    BEFORE = "before it begins"
    UNTOLD = "after its effect, before anybody is told"
    TOLD = "just after it was told"


Place = tuple[str, Boundary]
"""An activity, and where in it."""


class Deaths:
    """The folder of notes, one for each death to come."""

    def __init__(self, state: Path) -> None:
        """Keep them in the stack's state folder."""
        self._folder = state / "deaths"
        self._folder.mkdir(exist_ok=True)
        self._dying = False

    def want(self, places: Iterable[Place]) -> None:
        """Let the worker die at one of these, where it comes by first."""
        for place in places:
            self._note(place).touch()

    def met(self, places: Iterable[Place]) -> Place | None:
        """Where it died; None where it lives. Once it is told, no other death is wanted."""
        found = next((place for place in places if self._done(place).exists()), None)
        if found is not None:
            self._done(found).unlink()
            self.forgive(places)
        return found

    def forgive(self, places: Iterable[Place]) -> None:
        """Let the worker live."""
        for place in places:
            self._note(place).unlink(missing_ok=True)

    def die_if_wanted(self, place: Place) -> None:
        """What the worker asks itself at each boundary; it dies once."""
        if self._dying or not self._note(place).exists():
            return
        with suppress(FileNotFoundError):
            self._note(place).rename(self._done(place))
            self._dying = True
            if place[1] is not Boundary.TOLD:
                _die()
            threading.Timer(TOLD_AFTER, _die).start()

    def announce(self, activities: Sequence[str]) -> None:
        """Say what the worker can be asked to do; once, as it may start where there is no room to write."""
        target = self._folder / _KNOWN
        if target.exists():
            return
        target.with_suffix(".new").write_text(json.dumps(sorted(activities)))
        target.with_suffix(".new").replace(target)

    def activities(self) -> list[str]:
        """What the worker can be asked to do: all that is registered."""
        known: list[str] = json.loads((self._folder / _KNOWN).read_text())
        return known

    def _note(self, place: Place) -> Path:
        return self._folder / f"{place[0]}.{place[1].name.lower()}"

    def _done(self, place: Place) -> Path:
        return self._note(place).with_suffix(".done-" + place[1].name.lower())


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def doomed(deaths: Deaths) -> Callable[[Settings, Client], Work]:
    """The product's composition, each activity with its boundaries; whatever it registers is in it."""

    def composed(settings: Settings, client: Client) -> Work:
        work = compose(settings, client)
        work = replace(
            work,
            deal_activities=[_bound(each, deaths) for each in work.deal_activities],
            dataverse_activities=[_bound(each, deaths) for each in work.dataverse_activities],
            finance_activities=[_bound(each, deaths) for each in work.finance_activities],
            notice_activities=[_bound(each, deaths) for each in work.notice_activities],
        )
        of_systems = [*work.dataverse_activities, *work.finance_activities]
        deaths.announce([_name(each) for each in [*work.deal_activities, *of_systems, *work.notice_activities]])
        return work

    return composed


def _bound(activity: Callable[..., Any], deaths: Deaths) -> Callable[..., Any]:
    name = _name(activity)

    @functools.wraps(activity)
    async def lived_through(*args: Any) -> Any:
        deaths.die_if_wanted((name, Boundary.BEFORE))
        answer = await activity(*args)
        deaths.die_if_wanted((name, Boundary.UNTOLD))
        deaths.die_if_wanted((name, Boundary.TOLD))
        return answer

    return lived_through


def _name(activity: Callable[..., Any]) -> str:
    return str(_Definition.must_from_callable(activity).name)


def main() -> None:
    """Be the worker, as `q2c worker` is."""
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    require(settings, Process.WORKER)
    telemetry = start_telemetry(Process.WORKER)
    run_process(run_worker(settings, telemetry, doomed(Deaths(settings.state_dir))))


if __name__ == "__main__":
    main()
