"""The messages to one recipient: an entity that lives forever and costs nothing while there is nothing to tell.

It groups what comes, waits for the hours in which the recipient wants to be told, has messages sent, tries again, and
writes down what became of each (``domain.notices_box``). Whoever tells it something waits for none of this.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.notice_signatures import NO_USE, OfApprover, SendingActivities, WaitingActivities
    from domain.audit import CODE, WORDS, AuditKind, AuditRecord, Outbox
    from domain.notices_box import Box, Message, Sending
    from domain.notices_policy import Telling
    from domain.notices_start import NoticesStart
    from domain.people import SYSTEM
    from domain.quiet_hours import next_allowed, next_at
    from runs import names
    from workflows.audit import deliver_apart
    from workflows.hearing import UNKNOWN, Counting, heard, is_long_enough, taken
    from workflows.steps import cause_of, execute

MOST_UNTAKEN = 200
"""Notices that came and were not looked at; what comes beyond them is counted and dropped."""
LONGEST_SEND = timedelta(hours=1)
"""How long a message waits for a worker of its queue; then the try counts as failed."""
ATTEMPT = timedelta(seconds=90)
LONGEST_TELLING = 10_000
"""Characters of a notice and of what is known of its recipient: a box carries many of them from run to run."""
REPEATED = "repeated"
TOO_LONG = "too long"
DROPPED_FULL = "full"
SHOWN = 20


@workflow.defn(name=names.NOTICES)
class PeopleNotices(Counting):
    """What one person, or whoever holds a role, is told."""

    @workflow.init
    def __init__(self, start: NoticesStart) -> None:
        """Make the state before the first message is handled."""
        origin = start.box.origin or workflow.info().run_id
        self._box = start.box.model_copy(update={"origin": origin})
        self._tally = dict(start.tally)
        self._untaken: list[Telling] = []
        self._records = 0
        self._something = False

    @workflow.run
    async def run(self, start: NoticesStart) -> None:
        """Take, group, wait, send, forever."""
        while True:
            self._take()
            self._describe()
            if is_long_enough(heard=self._something):
                workflow.continue_as_new(NoticesStart(box=self._box, tally=self._tally))
            await self._wait()
            self._take()
            await self._look()

    async def _wait(self) -> None:
        """Until something came, something is due, or the run is long enough."""
        at = self._box.wakes_at
        if at is not None and at <= workflow.now():
            return
        try:
            await workflow.wait_condition(
                lambda: bool(self._untaken) or is_long_enough(heard=self._something),
                timeout=None if at is None else at - workflow.now(),
                timeout_summary="The next message" if at is not None else None,
            )
        except TimeoutError:
            return

    def _take(self) -> None:
        for telling in self._untaken:
            with taken(self._count):
                box = self._box.take(telling, workflow.now())
                if box is self._box:
                    self._count(REPEATED)
                self._box = box
                self._something = True
        self._untaken.clear()

    async def _look(self) -> None:
        """Send what is due: one message after the other, so that one that hangs is one."""
        self._box = self._box.grouped(workflow.now())
        if self._box.digest_due(workflow.now()):
            await self._digest()
        sending = self._box.due(workflow.now())
        if sending is not None:
            self._something = True
            await self._send(sending)

    async def _send(self, sending: Sending) -> None:
        message = sending.message
        refusal, for_good = "", False
        try:
            await execute(
                SendingActivities.send_message,
                message,
                task_queue=names.NOTICE_QUEUE,
                start_to_close_timeout=ATTEMPT,
                schedule_to_close_timeout=LONGEST_SEND,
                retry_policy=RetryPolicy(maximum_attempts=1),
                summary=f"Send {len(message.notices) or 'the digest'} to {message.target}",
            )
        except ActivityError as error:
            cause = error.cause
            refusal = cause.message if isinstance(cause, ApplicationError) and cause.message else cause_of(error)[1]
            for_good = isinstance(cause, ApplicationError) and cause.type == NO_USE
        now = workflow.now()
        if refusal:
            self._box = self._box.refused(sending, refusal, now, for_good=for_good)
        else:
            self._box = self._box.sent(sending, now)
        status = self._box.deliveries[-1].status
        workflow.metric_meter().create_counter("q2c_messages", "Tries to send a message to people").add(
            1, {"target": message.target, "status": status}
        )
        await self._write_down(message)

    async def _digest(self) -> None:
        latest = self._box.latest
        found = None
        if latest is not None and latest.oid:
            try:
                answer = await execute(
                    WaitingActivities.find_waiting,
                    OfApprover(oid=latest.oid),
                    task_queue=names.DEAL_QUEUE,
                    start_to_close_timeout=timedelta(seconds=30),
                    schedule_to_close_timeout=timedelta(minutes=10),
                    summary="What waits for them",
                )
                found = answer.requests
            except ActivityError as error:
                workflow.logger.warning("no digest today: %s", error.cause)
        self._box = self._box.digested(found, workflow.now())

    async def _write_down(self, message: Message) -> None:
        """Have the last outcome stored by a process of its own, which tries for as long as it takes."""
        outcome = self._box.deliveries[-1]
        self._records += 1
        record_id = names.notice_record_id(workflow.info().run_id, self._records)
        companies = [*(n.company for n in message.notices), *(w.company for w in message.digest)]
        if not companies and self._box.latest is not None:  # all that fitted was over, and only what did not is told
            companies = [self._box.latest.notice.company]
        deals = {(notice.company, notice.quote_number) for notice in message.notices if notice.quote_number}
        told = "; ".join(f"{notice.about}: {notice.kind}" for notice in message.notices) or "digest"
        record = AuditRecord(
            record_id=record_id,
            n=1,
            company=companies[0][:CODE],
            deal_id=names.deal_id(*deals.pop())[:CODE] if len(deals) == 1 else "",
            kind=AuditKind.NOTICE,
            event=f"Notice{outcome.status.capitalize()}",
            at=outcome.at,
            actor=SYSTEM,
            what=f"to {message.name} by {message.target}: {told}"[:WORDS],
            why=outcome.why[:WORDS],
            facts={
                "message": message.message_id[:CODE],
                "to": message.recipient[:CODE],
                "target": message.target,
                "try": str(outcome.tries),
            },
        )
        await deliver_apart(Outbox(pending=(record,)), record_id, "An audit record of a message to people")

    def _describe(self) -> None:
        box = self._box
        name = box.latest.name if box.latest else "nobody yet"
        lines = [f"**Messages to {name}**: {len(box.waiting)} notices wait, {len(box.sending)} messages on their way"]
        if box.deliveries:
            lines += ["", "| when | target | what | became | try | why |", "|---|---|---|---|---|---|"]
            lines += [
                f"| {d.at:%Y-%m-%d %H:%M} UTC | {d.target} | {', '.join(d.kinds) or 'digest'} | {d.status} "
                f"| {d.tries} | {d.why} |"
                for d in reversed(box.deliveries[-SHOWN:])
            ]
        workflow.set_current_details("\n".join(lines))

    # Messages and queries

    tell = heard(names.TELL, Telling, lambda run: run._keep, "Something this recipient is to be told: a Telling")

    def _keep(self, telling: Telling) -> None:
        """Keep a notice until it is looked at, without the others who are told the same."""
        telling = telling.model_copy(update={"notice": telling.notice.model_copy(update={"to": ()})})
        if names.notices_id(telling.recipient) != workflow.info().workflow_id:
            self._count(UNKNOWN)
        elif len(self._untaken) >= MOST_UNTAKEN:
            self._count(DROPPED_FULL)
        elif len(telling.model_dump_json()) > LONGEST_TELLING:
            self._count(TOO_LONG)
        else:
            self._untaken.append(_possible(telling, workflow.now()))

    @workflow.query(name=names.STATE, description="What waits, what is on its way, and what became of what was sent")
    def state(self) -> Box:
        """The messages as they stand."""
        return self._box


def _possible(telling: Telling, now: datetime) -> Telling:
    """A notice whose hours can be computed.

    Raises:
        ValueError: no clock shows its times.
        LookupError: there is no such time zone.
    """
    next_allowed(now, telling.quiet, telling.timezone)
    if telling.digest is not None:
        next_at(now, telling.digest, telling.quiet, telling.timezone)
    return telling
