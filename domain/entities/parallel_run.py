"""The parallel run of a company: how it stands, what two people say to end it, and whom it tells. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, StringConstraints

from domain.calendar import local_date
from domain.entities.data_words import EXIT_PARALLEL
from domain.entities.model import EntityName
from domain.entities.parallel import (
    LONGEST_WHY,
    MOST_DAYS,
    MOST_ENTITIES,
    ComparedDay,
    EntityDay,
    ParallelPolicy,
    blockers,
    clean_row,
    with_day,
)
from domain.heard import HeardMessage
from domain.messages import Outcome, SignedMessage, VerifiedMessage
from domain.notices import LONGEST_TEXT, Kind, Notice
from domain.people import Person
from domain.phrases import Phrase
from domain.record import Record
from domain.refusals import Refusal
from domain.said import judged
from domain.values import Company

PROPOSED_FOR: Final = timedelta(days=7)
"""How long the word of the first person waits for a second."""
MOST_LINES: Final = 12
"""Entities that a message to people names."""


class DayPlan(Record):
    """What is compared of a company on a day, and by which rules."""

    rules: ParallelPolicy
    timezone: str
    entities: tuple[EntityName, ...] = Field(max_length=MOST_ENTITIES)
    left_out: int = Field(0, description="Entities beyond these")


class ExitArgs(Record):
    """What a person says who ends a parallel run."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_000)]


class ExitWord(Record):
    """What one of the two said."""

    person: Person
    roles: tuple[str, ...] = Field(description="As which they may say it")
    at: AwareDatetime
    reason: str = Field(max_length=1_000)
    message_id: str = Field(max_length=300)


class ParallelState(Record):
    """What is known of a parallel run."""

    company: Company
    timezone: str = "UTC"
    began_at: AwareDatetime
    rules: ParallelPolicy | None = Field(None, description="As they were last read; None: not yet")
    days: tuple[ComparedDay, ...] = Field((), max_length=MOST_DAYS, description="Oldest first")
    now: ComparedDay | None = Field(None, description="The day that is compared at the moment")
    waiting: tuple[EntityName, ...] = Field((), max_length=MOST_ENTITIES, description="Of it, what is to be compared")
    proposed: ExitWord | None = Field(None, description="The first of the two who end it")
    exit: tuple[ExitWord, ...] = Field((), max_length=2, description="Both who ended it")
    status: Literal["running", "exited", "expired"] = "running"

    def blockers(self, at: datetime) -> tuple[Phrase, ...]:
        """What stands in the way of the end."""
        if self.rules is None:
            return blockers((), _NO_RULES, at.date())
        return blockers(self.days, self.rules, local_date(at, self.timezone))

    @property
    def clean_days(self) -> int:
        """Days in a row, up to the last, on which everything was clean."""
        return clean_row(self.days, self.rules) if self.rules else 0

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of what was counted, by which a report is known to be of it."""
        content = [each.model_dump(mode="json") for each in self.days]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def beginning(self, day: date, at: datetime, plan: DayPlan) -> ParallelState:
        """A day begins to be compared."""
        now = ComparedDay(day=day, began_at=at, left_out=plan.left_out)
        known = {"rules": plan.rules, "timezone": plan.timezone}
        return self.model_copy(update=known | {"now": now, "waiting": plan.entities})

    def without(self, day: date, at: datetime, why: str) -> ParallelState:
        """A day on which nothing could be compared."""
        now = ComparedDay(day=day, began_at=at, why=why[:LONGEST_WHY])
        return self.model_copy(update={"now": now, "waiting": ()})

    def compared(self, found: EntityDay) -> ParallelState:
        """One more entity of the day was compared, or could not be."""
        assert self.now is not None
        now = self.now.model_copy(update={"entities": (*self.now.entities, found)})
        return self.model_copy(update={"now": now, "waiting": self.waiting[1:]})

    def ended_day(self, at: datetime) -> ParallelState:
        """The day is over: it is kept, and what was proposed before it lapses where it brought something new."""
        assert self.now is not None
        kept = self.model_copy(update={"days": with_day(self.days, self.now), "now": None, "waiting": ()})
        return kept.model_copy(update={"proposed": None}) if kept.blockers(at) else kept


_NO_RULES: Final = ParallelPolicy(version="none", source="none", at="00:00", days=1, clean_days=1, otherwise="ops")


class ParallelView(Record):
    """A parallel run as people see it."""

    state: ParallelState
    next_at: AwareDatetime | None = Field(None, description="When the next day begins to be compared")
    comparing: str = Field("", description="The entity that is compared at the moment")
    clean_days: int = Field(0, description="In a row, up to the last day")
    digest: str = Field("", description="SHA-256 of what was counted")


class ParallelStart(Record):
    """Whose parallel run; the rest is what the run before it held (set when it continues as new)."""

    company: Company
    state: ParallelState | None = None
    next_at: AwareDatetime | None = None
    outcomes: tuple[Outcome, ...] = ()
    heard: tuple[HeardMessage, ...] = ()
    unheard: tuple[SignedMessage, ...] = ()
    tally: dict[str, int] = Field(default_factory=dict)


class Exit(NamedTuple):
    """What became of a word to end a parallel run."""

    state: ParallelState
    code: Refusal | None = None
    text: str = ""
    changed: bool = False


def said_to_parallel(state: ParallelState, said: VerifiedMessage, now: datetime) -> Exit:
    """What a person's word comes to: refused, the first of two, or the end.

    Args:
        state: of the run.
        said: the message, its proof checked and the person's rights looked up.
        now: UTC.
    """
    verdict = judged(said, EXIT_PARALLEL, ExitArgs)
    if verdict.args is None:
        return Exit(state, verdict.code, verdict.detail)
    if state.status != "running":
        return Exit(state, Refusal.NOT_OPEN_ANY_MORE, f"the parallel run has {state.status}")
    if found := state.blockers(now):
        return Exit(state, Refusal.PARALLEL_NOT_READY, " ".join(map(str, found)))
    word = ExitWord(
        person=said.person.named,
        roles=tuple(dict.fromkeys(grant.role for grant in said.granted.grants))[:10],
        at=now,
        reason=verdict.args.reason,
        message_id=said.message_id,
    )
    first = state.proposed
    if first is None or first.at + PROPOSED_FOR < now:
        text = "The first of two persons ends it. A second one, with another role, has to say the same."
        return Exit(state.model_copy(update={"proposed": word}), None, text, changed=True)
    if why := _not_second(first, word):
        return Exit(state, Refusal.PARALLEL_SECOND_ROLE, why)
    ended = state.model_copy(update={"proposed": None, "exit": (first, word), "status": "exited"})
    return Exit(ended, None, f"{state.company.upper()} has left the parallel run.", changed=True)


def _not_second(first: ExitWord, word: ExitWord) -> str:
    """Why somebody cannot be the second of the two; empty: they can."""
    if word.person.is_same(first.person):
        return "you were the first"
    if not any(one != other for one in first.roles for other in word.roles):
        return f"{first.person.label} said it as {first.roles[0]} as well"
    return ""


def next_night(now: datetime, timezone: str, at: str) -> datetime:
    """When the next day begins to be compared: UTC."""
    zone, hour = ZoneInfo(timezone), time.fromisoformat(at)
    here = now.astimezone(zone)
    tonight = datetime.combine(here.date(), hour, zone)
    if tonight <= here:
        tonight = datetime.combine(here.date() + timedelta(days=1), hour, zone)
    return tonight.astimezone(UTC)


def digests(state: ParallelState, now: datetime) -> Iterator[Notice]:
    """What the roles that answer for entities are told of the last day."""
    last, rules = (state.days[-1] if state.days else None), state.rules
    if last is None or rules is None:
        return
    roles: dict[str, list[EntityDay]] = {} if last.entities else {rules.otherwise: []}
    for each in last.entities:
        roles.setdefault(rules.owner(each.entity), []).append(each)
    for role, entities in sorted(roles.items()):
        lines = [_line(each, rules) for each in entities[:MOST_LINES]]
        if last.why:
            lines.append(f"Nothing was compared: {last.why}")
        if len(entities) > MOST_LINES:
            lines.append(f"And {len(entities) - MOST_LINES} more.")
        lines.append(f"Clean days in a row: {state.clean_days} of {rules.clean_days}.")
        yield Notice(
            notice_id=f"parallel/{state.company}/{last.day}/{role}",
            kind=Kind.PARALLEL_DIGEST,
            role=role,
            company=state.company,
            quote_number="",
            account=f"{state.company.upper()} {last.day}",
            text="\n".join(lines)[:LONGEST_TEXT],
            at=now,
        )


def _line(each: EntityDay, rules: ParallelPolicy) -> str:
    if each.status == "failed":
        return f"{each.entity}: not compared ({each.why[:60]})"
    if not each.open:
        return f"{each.entity}: clean"
    word = "clean" if each.is_clean(rules) else "not clean"
    return (
        f"{each.entity}: {word}, {each.open} open, {each.new} new, {each.gone} gone, "
        f"oldest {each.standing.oldest_days} days"
    )
