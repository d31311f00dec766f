"""The page of the audit: for its role alone, in pages, with what a check found, reports and signed exports."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import structlog
from pydantic import SecretStr
from starlette.applications import Starlette
from temporalio.client import Client

from domain.audit import STEP_DECIDED, AuditKind, AuditRecord
from ledger import reading, review
from ledger.audit import AuditStore
from ledger.database import open_database
from ledger.export import verify_file
from ledger.signing import AuditVerifier
from tests.unit.ledger.ledger_makers import MONA, RITA, record, tamper
from tests.webworld.browsing import Browser, form_of
from tests.webworld.world import Tenant
from web.app import create_app
from web.config import WebConfig
from workers.audit_keys import ensure_audit_keys

TODAY = datetime.now(UTC).date().isoformat()
SIGNED = {"envelope_id": "m-1", "envelope_hash": "ab" * 32}
RELEASED = {"role": "credit_manager", "amount": "100000.01", "currency": "USD", "persons": "1"}
APPROVED = {"role": "sales_manager", "amount": "100.00", "currency": "USD", "decision": "approve", "step": "1"}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
async def filled(url: str) -> str:
    """A ledger with deals that are as they must be, and one that is not; in two companies."""
    database = await open_database(url)
    store = AuditStore(database)

    def of(quote: str, n: int, event: str, company: str = "usmf", **more: object) -> AuditRecord:
        deal = f"q2c/{company}/{quote}"
        return record(n, record_id=f"{deal}/r/{n}", company=company, deal_id=deal, event=event, **more)

    await store.append(
        [
            of("Q-1", 1, "Submitted", actor=RITA),
            of("Q-1", 2, "ApprovalAsked"),
            of("Q-1", 3, STEP_DECIDED, kind=AuditKind.DECISION, facts=APPROVED, why="<b>fine</b>", **SIGNED),
            of("Q-1", 4, "OrderCreated", facts={"order": "SO-1", "net": "90"}),
            of("Q-1", 5, "ShipmentRecorded", facts={"slips": "PS-1,PS-2"}),
            of("Q-1", 6, "InvoicesRecorded", facts={"invoices": "INV-1"}),
            of("Q-2", 1, "ApprovalAsked"),
            of("Q-2", 2, "CreditReleased", kind=AuditKind.DECISION, facts=RELEASED, **SIGNED),
            of("Q-2", 3, "OrderCreated", facts={"order": "SO-2"}),
            of("Q-3", 1, "abort", kind=AuditKind.REFUSAL, code="NO_AUTHORITY", actor=RITA),
            of("Q-4", 1, STEP_DECIDED, kind=AuditKind.DECISION, actor=RITA, facts=APPROVED, **SIGNED),
            of("Q-9", 1, "Submitted", company="demf"),
        ]
    )
    await database.close()
    return url


@pytest.fixture
def audit_config(config: WebConfig, url: str, tmp_path: Path) -> WebConfig:
    keys = tmp_path / "keys"
    ensure_audit_keys(keys / "audit.json", keys / "web.json", keys / "jwks.json")
    return config.model_copy(update={"audit_url": SecretStr(url), "audit_key_file": keys / "web.json"})


@pytest.fixture
async def app(audit_config: WebConfig, temporal: Client) -> AsyncIterator[Starlette]:
    """The application with an audit store to read."""
    made = create_app(audit_config, temporal)
    async with made.router.lifespan_context(made):
        yield made


async def test_an_auditor_sees_the_newest_records_with_what_was_done_why_and_on_which_proof(
    filled: str, browser: Browser
) -> None:
    page = await (await browser("audra")).get("/audit?company=usmf")
    assert page.status_code == 200, page.text
    assert page.text.index('<td data-label="No." class="num">11<') < page.text.index('class="num">1<')
    for shown in ("NO_AUTHORITY", "Rita Reyes", 'href="/cases/usmf/Q-1"', "ab" * 32, "m-1"):
        assert shown in page.text, shown
    assert "&lt;b&gt;fine&lt;/b&gt;" in page.text and "<b>fine</b>" not in page.text
    assert "Records 1 to 11 hold" in page.text and "the chain ends where it says" in page.text
    assert 'href="/audit"' in page.text and "Q-9" not in page.text
    first = await (await browser("audra")).get("/audit")
    assert first.status_code == 200 and "Q-9" in first.text, "the first company is shown where none is chosen"


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        ("quote=Q-2", ["Q-2"], [">Q-1<", ">Q-3<"]),
        ("kind=refusal", [">Q-3<"], [">Q-1<", ">Q-2<"]),
        ("person=RITA%40contoso.example", [">Q-1<", ">Q-3<"], [">Q-2<"]),
        ("person=mona+meyer&quote=Q-1&kind=decision", ["StepDecided"], ["OrderCreated"]),
        (f"person={MONA.oid}&kind=refusal", ["No records match"], [">Q-3<"]),
        (f"from={TODAY}&to={TODAY}", [">Q-1<", ">Q-3<"], ["No records match"]),
        ("to=2020-01-01", ["No records match"], [">Q-1<"]),
        ("person=nobody", ["No records match"], [">Q-1<"]),
        ("before=4", ["Records 1 to 3 hold"], ["OrderCreated", "ends where it says"]),
    ],
)
async def test_records_are_found_by_deal_kind_person_and_time(
    filled: str, browser: Browser, query: str, shown: list[str], hidden: list[str]
) -> None:
    page = await (await browser("audra")).get(f"/audit?company=usmf&{query}")
    assert page.status_code == 200, page.text
    assert all(text in page.text for text in shown), page.text
    assert not any(text in page.text for text in hidden)


async def test_older_records_are_a_page_away(
    url: str, filled: str, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.pages.audit.ROWS", 4)
    audra = await browser("audra")
    address, seen = "/audit?company=usmf&kind=", []
    while address:
        page = (await audra.get(address)).text
        rows = [int(part.split("<")[0]) for part in page.split('data-label="No." class="num">')[1:]]
        assert len(rows) <= 4
        seen += rows
        older = page.split('<p class="pager"><a class="button" href="')[1:]
        address = older[0].split('"')[0].replace("&amp;", "&") if older else ""
    assert seen == list(range(11, 0, -1))


@pytest.mark.parametrize("query", ["kind=nonsense", "from=yesterday", "before=0", "before=99999999999", "x=1"])
async def test_a_wrong_filter_is_named(filled: str, browser: Browser, query: str) -> None:
    page = await (await browser("audra")).get(f"/audit?company=usmf&{query}")
    assert page.status_code == 400 and query.split("=")[0] in page.text


@pytest.mark.parametrize("path", ["/audit", "/audit/reports", f"/audit/export?company=usmf&from={TODAY}&to={TODAY}"])
@pytest.mark.parametrize("name", ["mona", "otto", "nemo"])
async def test_everybody_else_is_refused_with_the_reason_and_it_is_logged(
    filled: str, browser: Browser, name: str, path: str
) -> None:
    client = await browser(name)
    with structlog.testing.capture_logs() as logs:
        page = await client.get(path)
    assert (page.status_code == 403 and "The audit is" in page.text) or "the audit of" in page.text
    (line,) = [line for line in logs if line.get("security") == "denied"]
    assert line["code"] == "NO_AUTHORITY" and line["actor"]
    assert 'href="/audit"' not in page.text


async def test_a_comparison_by_who_may_not_read_is_refused(filled: str, browser: Browser) -> None:
    mona = await browser("mona")
    csrf = form_of((await mona.get("/")).text, "/auth/sign-out")["csrf"]
    answer = await mona.post("/audit/comparison", data={"csrf": csrf, "company": "usmf"})
    assert answer.status_code == 403
    audra = await browser("audra")
    assert (await audra.post("/audit/comparison", data={"company": "usmf"})).status_code == 403, "no form of hers"


async def test_the_audit_of_another_company_is_another_role(filled: str, browser: Browser) -> None:
    aldo = await browser("aldo")
    page = await aldo.get("/audit")
    assert page.status_code == 200 and "Q-9" in page.text and ">USMF<" not in page.text
    for path in ("/audit?company=usmf", "/audit/reports?company=usmf", "/audit/export?company=usmf"):
        refused = await aldo.get(path)
        assert refused.status_code == 403 and "do not cover the audit of the company USMF" in refused.text


async def test_a_stranger_signs_in_first(filled: str, http: httpx.AsyncClient) -> None:
    answer = await http.get("/audit?company=usmf")
    assert answer.status_code == 302 and "next=%2Faudit%3Fcompany%3Dusmf" in answer.headers["location"]


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE audit_records SET event = 'Approved' WHERE company = 'usmf' AND seq = 3", "record 3 was changed"),
        ("DELETE FROM audit_records WHERE company = 'usmf' AND seq = 5", "record 5 is missing"),
        ("DELETE FROM audit_records WHERE company = 'usmf' AND seq = 11", "record 11 is missing"),
        ("UPDATE audit_words SET what = 'nothing' WHERE company = 'usmf' AND seq = 2", "record 2 has other words"),
    ],
)
async def test_damage_among_what_is_shown_is_said_and_named(
    url: str, filled: str, browser: Browser, damage: str, found: str
) -> None:
    await tamper(url, damage)
    page = await (await browser("audra")).get("/audit?company=usmf")
    assert page.status_code == 200
    assert f"The chain is broken: {found}" in page.text and " hold: " not in page.text


# Where there is no store


async def test_without_a_store_the_page_says_so(config: WebConfig, temporal: Client, browser: Browser) -> None:
    bare = create_app(config, temporal)
    audra = await browser("audra")
    cookies = dict(audra.cookies)
    bare.state.sessions._store = _store_of(audra)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=bare), base_url="http://localhost:8000", cookies=cookies
    ) as client:
        for path in ("/audit", "/audit/reports"):
            page = await client.get(path)
            assert page.status_code == 200 and "There is no audit store here" in page.text


def _store_of(client: httpx.AsyncClient) -> object:
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport)
    return transport.app.state.sessions._store  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", ["/audit?company=usmf", "/audit/reports?company=usmf"])
async def test_a_store_that_does_not_answer_is_said_and_nothing_is_made(
    url: str, tmp_path: Path, browser: Browser, path: str
) -> None:
    page = await (await browser("audra")).get(path)
    assert page.status_code == 503 and "The audit store does not answer" in page.text
    assert not (tmp_path / "ledger.db").exists(), "who reads makes no database"


async def test_the_web_process_cannot_change_what_it_reads(app: Starlette, filled: str) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import OperationalError

    database = await open_database(filled, read_only=True)
    with pytest.raises(OperationalError, match="readonly"):
        async with database.writing() as connection:
            await connection.execute(text("DELETE FROM audit_words"))
    await database.close()


# Reports


async def test_the_five_reports_of_a_period(filled: str, browser: Browser, tenant: Tenant) -> None:
    audra = await browser("audra")
    page = (await audra.get("/audit/reports?company=usmf")).text
    unsigned = page.split('id="unsigned"')[1].split("</section>")[0]
    assert "Order SO-2 was created without a signed decision" in unsigned and "SO-1" not in unsigned
    above = page.split('id="above"')[1].split("</section>")[0]
    assert "without holding the role for USMF" in above and "Rita Reyes" in above
    assert "Decided on 100000.01 USD as credit_manager, whose limit is 100000" in above
    assert "Mona Meyer" in page.split('id="access"')[1]
    assert "Deals recorded 3 documents in the period" in page
    form = form_of(page, "/audit/comparison")
    people = [
        {"oid": MONA.oid, "name": "Mona Meyer", "roles": ["sales_manager.usmf", "ops"]},
        {"oid": RITA.oid, "name": "Rita Reyes", "roles": ["sales_manager.usmf"]},
    ]
    lists = {"people": json.dumps(people), "slips": "PS-1\n\n PS-2 ", "invoices": "INV-2"}
    page = (await audra.post("/audit/comparison", data=form | lists)).text
    assert "Invoice INV-1 is not in Finance" in page and "PS-1 is not" not in page and "not compared" not in page
    half = (await audra.post("/audit/comparison", data=form | {"slips": "PS-1"})).text
    assert "Slip PS-2 is not in Finance" in half and "Invoices are not compared yet" in half
    assert "INV-1" not in half, "what nobody gave a list of is not reported as unknown"
    conflicts = page.split('id="conflicts"')[1].split("</section>")[0]
    assert "Mona Meyer" in conflicts and "move the deal past what stops it" in conflicts
    above = page.split('id="above"')[1].split("</section>")[0]
    assert "as sales_manager without" not in above and "as credit_manager without" in above


async def test_a_list_that_cannot_be_read_keeps_what_was_typed(filled: str, browser: Browser) -> None:
    audra = await browser("audra")
    form = form_of((await audra.get("/audit/reports?company=usmf")).text, "/audit/comparison")
    for people in ("[1]", "{", "[" * 100_000, '{"appRoles": 1}'):
        answer = await audra.post("/audit/comparison", data=form | {"people": people, "slips": "PS-77"})
        assert answer.status_code == 400, people[:10]
        assert "The list cannot be read" in answer.text and "PS-77" in answer.text


async def test_a_report_that_did_not_look_at_everything_says_so(
    filled: str, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review, "MOST_READ", 1)
    page = (await (await browser("audra")).get("/audit/reports?company=usmf")).text
    assert "Not everything was looked at" in page and "more decisions, orders, slips and invoices than" in page


async def test_a_period_that_ends_before_it_begins_is_refused(filled: str, browser: Browser) -> None:
    page = await (await browser("audra")).get("/audit/reports?company=usmf&from=2026-02-01&to=2026-01-01")
    assert page.status_code == 400 and "first day is after the last" in page.text
    page = await (await browser("audra")).get("/audit/reports?company=usmf&to=9999-12-31")
    assert page.status_code == 400 and "calendar" in page.text


# Exports


@pytest.mark.parametrize("form", ["csv", "jsonl"])
async def test_a_download_is_signed_and_verifies_as_an_export_does(
    filled: str, browser: Browser, tmp_path: Path, form: str
) -> None:
    audra = await browser("audra")
    with structlog.testing.capture_logs() as logs:
        answer = await audra.get(f"/audit/export?company=usmf&from={TODAY}&to={TODAY}&format={form}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"].endswith(f'"audit-usmf-{TODAY}-{TODAY}.{form}.zip"')
    (line,) = [line for line in logs if line.get("security") == "audit_exported"]
    assert (line["company"], line["records"]) == ("usmf", 11)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path / "got")
    (file,) = (tmp_path / "got").glob(f"*.{form}")
    verifier = AuditVerifier.from_file(tmp_path / "keys" / "jwks.json")
    verdict = verify_file(file, verifier)
    assert verdict.holds and verdict.records == 11, verdict
    file.write_bytes(file.read_bytes().replace(b"Q-2", b"Q-7", 1))
    assert not verify_file(file, verifier).holds


async def test_a_download_is_removed_here_once_it_was_sent(
    filled: str, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    audra = await browser("audra")
    assert (await audra.get(f"/audit/export?company=usmf&from={TODAY}&to={TODAY}")).status_code == 200
    monkeypatch.setattr(reading, "MOST_EXPORTED", 10)
    refused = await audra.get(f"/audit/export?company=usmf&from={TODAY}&to={TODAY}")
    assert refused.status_code == 400 and "Choose a shorter one" in refused.text
    assert list(folder.iterdir()) == []


async def test_a_damaged_chain_is_not_signed(url: str, filled: str, browser: Browser) -> None:
    await tamper(url, "UPDATE audit_records SET event = 'Approved' WHERE company = 'usmf' AND seq = 3")
    refused = await (await browser("audra")).get(f"/audit/export?company=usmf&from={TODAY}&to={TODAY}")
    assert refused.status_code == 400 and "usmf record 3" in refused.text


async def test_without_a_key_there_is_no_download_and_the_page_says_which_is_missing(
    filled: str, browser: Browser, tmp_path: Path
) -> None:
    (tmp_path / "keys" / "web.json").unlink()
    audra = await browser("audra")
    assert "Q2C_AUDIT_WEB_KEY_FILE" in (await audra.get("/audit?company=usmf")).text
    answer = await audra.get(f"/audit/export?company=usmf&from={TODAY}&to={TODAY}")
    assert answer.status_code == 404 and "no key to sign" in answer.text
