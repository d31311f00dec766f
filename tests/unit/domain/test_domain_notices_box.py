"""Preferences, grouping, retries and bounds of what one recipient is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import policies
from domain.notices import REP, Kind, Notice
from domain.notices_box import MOST_NOTICES, MOST_SENDING, PAUSES, Box, WaitingRequest
from domain.notices_policy import NoticePolicy, Telling, is_address, tellings
from domain.people import Person
from domain.policy import PolicyError
from domain.quiet_hours import Quiet
from tests.rights import POLICY

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)  # a Wednesday
MONA, CARL = POLICY.authority.people["mona"], POLICY.authority.people["carl"]
RITA = Person(oid="5A4B3C2D-0000-4000-8000-000000000001", name="Rita Rossi", upn="rita@contoso.example")
TARGETS = {"mail": True, "ops-channel": False}


def notice(kind: Kind = Kind.APPROVAL_ASKED, key: str = "n1", **more: object) -> Notice:
    usual = {
        "notice_id": key, "kind": kind, "to": (MONA,), "role": "sales_manager", "company": "usmf",
        "quote_number": "Q-1", "at": NOON,
    }  # fmt: skip
    return Notice.model_validate(usual | more)


def telling(key: str = "n1", **more: object) -> Telling:
    usual = {
        "recipient": "mona",
        "oid": "mona",
        "name": "Mona",
        "address": "mona@contoso.example",
        "targets": ("mail",),
    }
    return Telling.model_validate(usual | {"timezone": "UTC", "notice": notice(key=key)} | more)


def preferences(**rows: object) -> NoticePolicy:
    return NoticePolicy.model_validate({"version": "1"} | rows)


def for_whom(what: Notice, wanted: NoticePolicy, targets: dict[str, bool] = TARGETS) -> list[Telling]:
    return list(tellings(what, POLICY, wanted, targets))


# Preferences


def test_nobody_is_told_what_nobody_chose() -> None:
    assert for_whom(notice(), preferences()) == []
    assert for_whom(notice(), preferences(roles={"sales_manager": {"kinds": ["approval.asked"]}})) == [], "no target"
    chosen = preferences(everyone={"targets": ["mail"]}, roles={"sales_manager": {"kinds": ["approval.asked"]}})
    assert for_whom(notice(), chosen, {}) == [], "none is configured"
    assert len(for_whom(notice(), chosen)) == 1
    assert for_whom(notice(Kind.APPROVAL_OVER), chosen) == []


def test_a_persons_line_comes_before_their_roles_and_that_before_everyones() -> None:
    wanted = preferences(
        everyone={"targets": ["mail"], "timezone": "Asia/Tokyo", "quiet": {"begins": "20:00", "ends": "07:00"}},
        roles={"sales_manager": {"kinds": ["approval.asked"], "timezone": "Europe/Berlin"}},
        people={"mona": {"address": "m.meyer@contoso.example", "quiet": {"days": [0]}}},
    )
    (found,) = for_whom(notice(), wanted)
    assert (found.recipient, found.address) == (MONA.oid.lower(), "m.meyer@contoso.example")
    assert (found.timezone, found.quiet, found.targets) == ("Europe/Berlin", Quiet(days=(0,)), ("mail",))
    silent = wanted.model_copy(update={"people": {"mona": wanted.people["mona"].model_copy(update={"kinds": ()})}})
    assert for_whom(notice(), silent) == []


def test_the_owner_of_a_quote_is_told_as_rep_in_the_companys_time_zone() -> None:
    wanted = preferences(
        everyone={"targets": ["mail"]},
        roles={"sales_rep": {"kinds": ["deal.paid"]}},
        people={RITA.oid.lower(): {"digest": "09:00"}},
    )
    (found,) = for_whom(notice(Kind.DEAL_PAID, to=(RITA,), role=REP, company="demf"), wanted)
    assert (found.name, found.address, found.timezone) == ("Rita Rossi", "rita@contoso.example", "Europe/Berlin")
    assert found.digest == "09:00", "found by object id, in any case"


def test_who_holds_a_right_is_told_at_their_address_and_in_their_channel() -> None:
    row = {"kinds": ["credit.held"], "targets": ["mail", "ops-channel"]}
    wanted = preferences(roles={"credit_manager": row, "sales_rep": {"kinds": []}})
    found = for_whom(notice(Kind.CREDIT_HELD, to=(), role=""), wanted)
    assert [(t.recipient, t.targets) for t in found] == [
        (CARL.oid.lower(), ("mail",)),
        ("role:credit_manager.usmf", ("ops-channel",)),
    ]
    assert (found[0].oid, found[1].oid) == (CARL.oid, "")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("approval.asked", "approval.askd", "roles.sales_manager.kinds.0: must be 'approval.asked'"),
        ("  sales_rep:", "  sales_agent:", "roles.sales_agent: is not a role of rights.yaml"),
        ("quote.question", "step.parked", "roles.sales_rep.kinds: nobody is told step.parked as sales_rep"),
        ("people: {}", "people: {nobody: {}}", "people.nobody: is no key of people in approvers.yaml"),
        ("people: {}", "people: {mona: {timezone: Europe/Bonn}}", "people.mona.timezone: 'Europe/Bonn' is not an IANA"),
        ("people: {}", 'people: {mona: {address: "a@b, c@d"}}', "people.mona.address: 'a@b, c@d' is not a mail"),
        ("people: {}", "people: {mona: {targets: [Mail]}}", "people.mona.targets.0: 'Mail' is not the name of a"),
        ("people: {}", "people: {mona: {colour: red}}", "people.mona.colour: is not a setting here"),
        ("days: [5, 6]", "days: [0, 1, 2, 3, 4, 5, 6]", "everyone.quiet: days: leaves no day"),
    ],
)
def test_a_preference_that_makes_no_sense_is_refused_by_name(tmp_path: Path, old: str, new: str, text: str) -> None:
    packaged = (Path(policies.__file__).parent / "notices.yaml").read_text()
    assert old in packaged
    (tmp_path / "notices.yaml").write_text(packaged.replace(old, new, 1))
    with pytest.raises(PolicyError) as refused:
        policies.load(tmp_path)
    assert text in str(refused.value) and "notices.yaml" in str(refused.value)


def test_preferences_are_no_part_of_the_policy_that_decisions_are_pinned_to(tmp_path: Path) -> None:
    packaged = (Path(policies.__file__).parent / "notices.yaml").read_text()
    (tmp_path / "notices.yaml").write_text(packaged.replace('ends: "07:00"', 'ends: "06:00"'))
    assert policies.load(tmp_path).version == POLICY.version


@pytest.mark.parametrize(
    "text", ["", "a", "a@", "a@b\r\nBcc: c@d", "a@b,c@d", "Name <a@b>", 'a"@b', "a b@c", "a@b;c", "a@-b"]
)
def test_what_is_not_one_plain_address_is_none(text: str) -> None:
    assert not is_address(text)


# The box


def test_what_comes_within_a_minute_is_one_message_per_target() -> None:
    box = Box(origin="r").take(telling("a"), NOON).take(telling("b", targets=("mail", "chat")), NOON)
    assert box.wakes_at == NOON + timedelta(minutes=1)
    assert box.grouped(NOON + timedelta(seconds=59)) == box
    box = box.grouped(NOON + timedelta(minutes=1))
    assert [(s.message.target, len(s.message.notices), s.message.message_id) for s in box.sending] == [
        ("mail", 2, "r/1"),
        ("chat", 1, "r/2"),
    ]
    assert (box.waiting, box.group_at) == ((), None)


def test_what_is_over_before_it_was_told_is_told_to_nobody() -> None:
    def waits(*told: Notice) -> list[list[str]]:
        box = Box()
        for n, what in enumerate(told):
            box = box.take(telling(str(n), notice=what.model_copy(update={"notice_id": str(n)})), NOON)
        made = box.grouped(NOON + timedelta(minutes=1)).sending
        return [[f"{notice.kind} {notice.step}" for notice in sending.message.notices] for sending in made]

    asked, over = notice(step=1), notice(Kind.APPROVAL_OVER, step=1)
    reminder, other = notice(Kind.APPROVAL_REMINDER, step=1), notice(step=2)
    assert waits(asked, over) == []
    assert waits(asked, reminder, over, other) == [["approval.asked 2"]]
    assert waits(reminder, over) == [["approval.over 1"]], "they were asked in an earlier message"
    assert waits(over, asked) == [["approval.over 1", "approval.asked 1"]], "and asked again"


def test_what_comes_twice_counts_once() -> None:
    box = Box().take(telling("a"), NOON)
    assert box.take(telling("a"), NOON) is box


def test_quiet_hours_hold_what_comes_and_send_it_together() -> None:
    quiet = {"quiet": Quiet(begins="20:00", ends="07:00"), "timezone": "Europe/Berlin"}
    night = datetime(2026, 11, 25, 22, tzinfo=UTC)
    box = Box().take(telling("a", **quiet), night).take(telling("b", **quiet), night + timedelta(hours=3))
    assert box.wakes_at == datetime(2026, 11, 26, 6, tzinfo=UTC), "07:00 in Berlin"
    assert len(box.grouped(box.wakes_at).sending) == 1


def test_a_target_that_is_down_is_tried_again_and_given_up_on_record() -> None:
    box = Box(origin="r").take(telling(), NOON).grouped(NOON + timedelta(minutes=1))
    now = NOON + timedelta(minutes=1)
    ids = set()
    for pause in PAUSES:
        sending = box.due(now)
        assert sending is not None
        ids.add(sending.message.message_id)
        box = box.refused(sending, "down", now, for_good=False)
        assert box.due(now) is None and box.wakes_at == now + pause
        now += pause
    sending = box.due(now)
    assert sending is not None
    box = box.refused(sending, "down", now, for_good=False)
    assert [d.status for d in box.deliveries] == ["retried"] * len(PAUSES) + ["failed"]
    assert ids == {"r/1"} and [d.tries for d in box.deliveries] == [1, 2, 3, 4, 5, 6]
    assert box.wakes_at is None


def test_what_no_retry_would_help_fails_at_once_and_what_was_sent_is_on_record() -> None:
    now = NOON + timedelta(minutes=1)
    box = Box().take(telling(targets=("mail", "chat")), NOON).grouped(now)
    box = box.refused(box.sending[0], "no address", now, for_good=True)
    box = box.sent(box.sending[0], now)
    assert [(d.target, d.status, d.why) for d in box.deliveries] == [
        ("mail", "failed", "no address"),
        ("chat", "sent", ""),
    ]
    assert box.sending == ()


def test_a_box_stays_small_whatever_comes() -> None:
    box, now = Box(), NOON
    for number in range(400):
        box = box.take(telling(str(number)), now)
        if number % 20 == 19:
            now += timedelta(minutes=1)
            box = box.grouped(now)
    assert len(box.sending) == MOST_SENDING
    assert {d.status for d in box.deliveries} == {"failed"}
    full = Box()
    for number in range(MOST_NOTICES + 7):
        full = full.take(telling(str(number)), NOON)
    (sending,) = full.grouped(NOON + timedelta(minutes=1)).sending
    assert (len(sending.message.notices), sending.message.left_out) == (MOST_NOTICES, 7)
    large = telling("x", notice=notice(key="x", text="€" * 600, customer="€" * 200))
    assert len(large.notice.model_dump_json()) * MOST_NOTICES * (MOST_SENDING + 1) < 800_000


def test_a_digest_comes_once_a_working_day_while_something_waits() -> None:
    asks = telling(digest="08:00", quiet=Quiet(days=(5, 6)))
    assert Box().take(telling(digest="08:00", notice=notice(Kind.APPROVAL_OVER)), NOON).digest_at is None
    box = Box(origin="r").take(asks, NOON).grouped(NOON + timedelta(minutes=1))
    box = box.sent(box.sending[0], NOON + timedelta(minutes=1))
    thursday = datetime(2026, 11, 26, 8, tzinfo=UTC)
    assert box.wakes_at == thursday and box.digest_due(thursday) and not box.digest_due(NOON)
    waits = (WaitingRequest(company="usmf", quote_number="Q-1", n=1, overdue=True),)
    box = box.digested(waits, thursday)
    assert [s.message.digest for s in box.sending] == [waits]
    assert box.digest_at == thursday + timedelta(days=1)
    friday = thursday + timedelta(days=1)
    assert box.digested(None, friday).digest_at == friday + timedelta(days=3), "not read: the next working day"
    assert box.digested((), friday).digest_at is None, "nothing waits: none until somebody asks again"
