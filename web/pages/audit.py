"""The audit, for who may read it: its records, what an auditor asks, and a signed export. Nothing here changes it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlencode

import structlog
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from domain.audit import AuditKind
from domain.directory import Export, conflicts_of, named_people, read_export
from domain.phrases import phrase
from domain.refusals import Refusal
from domain.rights import Action
from ledger.opening import LedgerAway
from ledger.reading import AuditReading, TooManyRecords
from ledger.signing import AuditKey, AuditSigner, KeyAway, SignatureWrong
from runs import names
from web import exact_json, security_log
from web.access import Access
from web.addresses import COMPANY_LENGTH, QUOTE_LENGTH, Deal
from web.commands import parsed
from web.config import WebConfig
from web.pages.site import Site
from web.problems import Problem
from web.saved_views import SavedViews, ViewedList
from web.session import Session

if TYPE_CHECKING:
    from ledger.reads import AuditRow, Checked
    from ledger.review import Period

log = structlog.get_logger(__name__)

ROWS: Final = 50
USUAL_DAYS: Final = 31
"""Days of a period that nobody chose, today included."""
LONGEST_LIST: Final = 400_000
"""Characters of a list that is given to be compared."""


class AuditQuery(BaseModel):
    """Which records are shown; every filter is in the address."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    company: str = Field("", max_length=COMPANY_LENGTH)
    quote: str = Field("", max_length=QUOTE_LENGTH)
    kind: AuditKind | None = None
    person: str = Field("", max_length=200)
    since: date | None = Field(None, alias="from", description="First day on which it was recorded, UTC")
    until: date | None = Field(None, alias="to", description="Last day, UTC, included")
    before: int | None = Field(None, ge=1, le=2**31 - 1)


AUDIT: Final = ViewedList("audit", "/audit", "Audit", AuditQuery)


class PeriodQuery(BaseModel):
    """A company and days, for reports and exports."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    company: str = Field("", max_length=COMPANY_LENGTH)
    since: date | None = Field(None, alias="from")
    until: date | None = Field(None, alias="to")
    form: Literal["csv", "jsonl"] = Field("csv", alias="format")


@dataclass(frozen=True, slots=True)
class AuditPages:
    """The pages under /audit: what ``audit`` holds; None: there is no audit store here, and the pages say so.

    ``key`` signs downloads in place of the key in the file, e.g. one that stays in a vault.
    """

    site: Site
    access: Access
    config: WebConfig
    audit: AuditReading | None
    key: AuditKey | None
    views: SavedViews

    def routes(self) -> list[Route]:
        """The routes of the audit; only the comparison takes a form, and it keeps nothing of it."""
        return self.site.routes(
            pages={"/audit": self.show, "/audit/reports": self.reports, "/audit/export": self.export},
            forms={"/audit/comparison": self.compare},
        )

    async def show(self, request: Request, session: Session) -> Response:
        """Records of a company, newest first, and whether the chain holds over those that are shown."""
        self.access.auditing(session.identity)
        views = await self.views.on(session.identity, AUDIT, request)
        if views.leads:
            return RedirectResponse(views.leads, 302)
        given = _given(request.query_params)
        query = parsed(AuditQuery, given)
        filters = {name: value for name, value in given.items() if name not in ("before", "company")}
        context: dict[str, Any] = {"query": query, "views": views, "filters": filters, "kinds": list(AuditKind)}
        context |= {"rows": [], "check": None, "older": "", "can_download": self._can_download(), "deal_of": _deal_of}
        try:
            companies = await self._companies(session)
        except LedgerAway as error:
            return await self._away(session, error, "audit.html", context)
        company = query.company.lower() or next(iter(companies), "")
        context |= {"companies": companies, "company": company, "away": ""}
        if not company or self.audit is None:
            return await self.site.render("audit.html", session, context)
        self.access.check_auditing(session.identity, company)
        try:
            rows = await self._rows(self.audit, company, query)
            # Where nothing is left out at the top, what is missing there would be the chain's end.
            last = None if query.before is None and not filters else rows[0].seq if rows else 0
            check = await self.audit.ask(lambda reader: reader.check(company, rows[-1].seq, last)) if rows else None
        except LedgerAway as error:
            return await self._away(session, error, "audit.html", context)
        shown = rows[:ROWS]
        if len(rows) > ROWS:
            older = {**given, "company": company, "before": str(shown[-1].seq)}
            context["older"] = f"/audit?{urlencode(older)}"
        context |= {"rows": shown, "check": check, "checked": _stated(check) if check else ""}
        return await self.site.render("audit.html", session, context)

    async def reports(self, request: Request, session: Session) -> Response:
        """What an auditor asks of a company and a period."""
        return await self._reports(session, _given(request.query_params), {})

    async def compare(self, request: Request, session: Session, form: FormData) -> Response:
        """The same, compared with lists of who holds which role and of what Finance has; nothing of them is kept."""
        values = {name: str(value) for name, value in form.items()}
        lists = {name: values.pop(name, "").strip() for name in ("people", "slips", "invoices")}
        values.pop("csrf", "")
        return await self._reports(session, _given(values), lists)

    async def export(self, request: Request, session: Session) -> Response:
        """A signed export of a company and a period: an archive with the file and its signature."""
        query = parsed(PeriodQuery, _given(request.query_params))
        self.access.check_auditing(session.identity, query.company.lower())
        if self.audit is None or not self._can_download():
            raise Problem(
                Refusal.NOT_FOUND, phrase("Downloads are not set up here: this process has no key to sign them with.")
            )
        period = await self._period(query)
        from ledger.export import ExportRefused

        try:
            signer = await asyncio.to_thread(self._signer)
            made = await self.audit.export(period, query.form, signer)
        except TooManyRecords as error:
            detail = f"The period has {error}. Choose a shorter one, or use q2c audit export."
            raise Problem(Refusal.BAD_ARGUMENT, detail, field="to") from error
        except ExportRefused as error:
            raise Problem(Refusal.BAD_ARGUMENT, str(error), field="company") from error
        except KeyAway as error:
            log.error("the key that signs downloads does not sign", reason=str(error))
            later = phrase("The key that signs downloads does not sign at the moment. Try again in a minute.")
            raise Problem(Refusal.SIGNING_UNAVAILABLE, later) from error
        except SignatureWrong as error:
            raise Problem(Refusal.INTERNAL, f"The key that signs downloads cannot be used: {error}") from error
        since, until = period.since.isoformat(), period.until.isoformat()
        security_log.audit_exported(
            session.identity, company=period.company, since=since, until=until, records=made.records
        )
        last = period.until - timedelta(days=1)
        name = f"audit-{period.company}-{period.since:%Y-%m-%d}-{last:%Y-%m-%d}.{query.form}.zip"
        return FileResponse(
            made.archive, media_type="application/zip", filename=name, background=BackgroundTask(made.remove)
        )

    # What they share

    def _can_download(self) -> bool:
        has_key = self.key is not None or (
            self.config.audit_key_file is not None and self.config.audit_key_file.exists()
        )
        return self.audit is not None and has_key

    def _signer(self) -> AuditSigner:
        if self.key is not None:
            return AuditSigner(self.key)
        if self.config.audit_key_file is None:
            raise AssertionError("nothing is downloaded without a key")
        return AuditSigner.from_file(self.config.audit_key_file)

    async def _companies(self, session: Session) -> tuple[str, ...]:
        """Companies with records that the person may read."""
        allowed = self.access.auditing(session.identity)
        if self.audit is None:
            return ()
        known = await self.audit.ask(lambda reader: reader.companies())
        return tuple(company for company in known if allowed is None or company in allowed)

    async def _rows(self, audit: AuditReading, company: str, query: AuditQuery) -> list[AuditRow]:
        """The records of a page, and one more where there are older ones."""
        return await audit.ask(
            lambda reader: reader.newest(
                company,
                deal_id=names.deal_id(company, query.quote) if query.quote else "",
                kind=query.kind,
                person=query.person,
                since=_midnight(query.since) if query.since else None,
                until=_midnight(query.until, days=1) if query.until else None,
                before_seq=query.before,
                limit=ROWS + 1,
            )
        )

    async def _period(self, query: PeriodQuery) -> Period:
        from ledger.review import Period

        until = query.until or datetime.now(UTC).date()
        since = query.since or until - timedelta(days=min(USUAL_DAYS - 1, until.toordinal() - 1))
        if since > until:
            raise Problem(Refusal.BAD_ARGUMENT, "from: the first day is after the last one", field="from")
        return Period(company=query.company.lower(), since=_midnight(since), until=_midnight(until, days=1))

    async def _reports(self, session: Session, given: Mapping[str, str], lists: Mapping[str, str]) -> Response:
        self.access.auditing(session.identity)
        query = parsed(PeriodQuery, given)
        lists = {name: lists.get(name, "") for name in ("people", "slips", "invoices")}
        context: dict[str, Any] = {"review": None, "lists": lists, "problem": None, "directory": None}
        context |= {"since": query.since, "until": query.until, "deal_of": _deal_of}
        try:
            companies = await self._companies(session)
            company = query.company.lower() or next(iter(companies), "")
            context |= {"companies": companies, "company": company, "away": ""}
            if company and self.audit is not None:
                self.access.check_auditing(session.identity, company)
                period = await self._period(query.model_copy(update={"company": company}))
                context |= {"since": period.since.date(), "until": (period.until - timedelta(days=1)).date()}
                context |= await self._review(self.audit, period, lists)
        except LedgerAway as error:
            return await self._away(session, error, "audit_reports.html", context)
        status = context["problem"].status if context["problem"] else 200
        return await self.site.render("audit_reports.html", session, context, status)

    async def _review(self, audit: AuditReading, period: Period, lists: Mapping[str, str]) -> dict[str, Any]:
        from ledger.reports import grants_of
        from ledger.review import review

        try:
            directory, problem = _people(lists.get("people", "")), None
        except Problem as error:
            directory, problem = None, error
        held = [*named_people(self.config.policy), *(directory.people if directory else ())]
        grants = [grant for grant in grants_of(held, "") if grant.company in ("", period.company)]
        rights = self.config.policy.rights
        found = await audit.ask(
            lambda reader: review(
                reader,
                period,
                grants=grants,
                conflicts=[c for c in conflicts_of(self.config.policy, directory) if c.company == period.company],
                limits=rights.limits_of(Action.DECIDE_APPROVAL),
                release_limits=rights.limits_of(Action.RELEASE_CREDIT),
                known=_documents(lists),
            )
        )
        return {"review": found, "directory": directory, "problem": problem}

    async def _away(self, session: Session, error: LedgerAway, template: str, context: dict[str, Any]) -> Response:
        """The page without records: why the store shows none."""
        security = {"companies": (), "company": "", "away": str(error)}
        return await self.site.render(template, session, context | security, Refusal.LEDGER_UNAVAILABLE.status)


def _given(values: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, value in values.items() if (text := value.strip()) and name != "view"}


def _midnight(day: date, days: int = 0) -> datetime:
    """The beginning of a day, or of one some days later, UTC.

    Raises:
        Problem: 400, the calendar ends before.
    """
    try:
        return datetime.combine(day + timedelta(days=days), time(), UTC)
    except OverflowError:
        raise Problem(Refusal.BAD_ARGUMENT, "to: is beyond the calendar", field="to") from None


def _deal_of(row: Any) -> Deal | None:
    """The deal of a record; None where it belongs to none."""
    try:
        company, quote = names.parse_deal_id(row.deal_id)
    except ValueError:
        return None
    return Deal(company, quote) if company and quote else None


def _stated(check: Checked) -> str:
    """What was checked of the chain and what was found, and no more than that."""
    span = f"Records {check.first_seq:,} to {check.last_seq:,}"
    if check.finding is not None:
        return f"The chain is broken: record {check.finding.seq:,} {check.finding.problem}."
    if check.is_end:
        return f"{span} hold: none of them was changed, added, moved or removed, and the chain ends where it says."
    return f"{span} hold: none of them was changed, added, moved or removed."


def _people(text: str) -> Export | None:
    """People with their roles, as the directory exports them; None where nothing was given.

    Raises:
        Problem: 400, it cannot be read.
    """
    if not text:
        return None
    if len(text) > LONGEST_LIST:
        raise Problem(Refusal.BAD_ARGUMENT, f"people: longer than {LONGEST_LIST:,} characters", field="people")
    try:
        return read_export(exact_json.loads(text.encode()))
    except (ValueError, RecursionError) as error:
        raise Problem(Refusal.BAD_ARGUMENT, f"people: {error}", field="people") from error


def _documents(lists: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """The numbers Finance has, one a line, by kind; a kind of which nobody said any is left out."""
    given = {"slip": lists.get("slips", ""), "invoice": lists.get("invoices", "")}
    return {
        kind: frozenset(number for line in text.splitlines() if (number := line.strip()))
        for kind, text in given.items()
        if text.strip()
    }
