"""What is collected, in pages and API: who sees it, what they may say, and letters as HTML and PDF."""

from __future__ import annotations

import csv
import html
import io
import re
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx

from domain.collections import Letter
from runs import attributes, names
from tests.unit.web.test_web_api import problem
from tests.webworld import accounts
from tests.webworld.browsing import Browser, form_of
from tests.webworld.world import Stage, Tenant, until
from web import letters, letters_pdf
from web.languages import LANGUAGES, using


async def collected(stage: Stage, account: str, **how: object) -> None:
    handle = await stage.client.start_workflow(
        names.COLLECTIONS,
        accounts.start(account, **how),
        id=names.collections_id("usmf", account),
        task_queue=names.DEAL_QUEUE,
        search_attributes=attributes.typed(
            {
                attributes.COMPANY: "usmf",
                attributes.CUSTOMER: account,
                attributes.WAITING_FOR: "payment",
                attributes.STAGE: "final",
                attributes.AMOUNT: Decimal(1045),
                attributes.CURRENCY: "USD",
            }
        ),
    )

    async def listed() -> bool:
        return (await stage.client.count_workflows(f"WorkflowId = '{handle.id}'")).count > 0

    await until(listed)


def body(**args: str) -> dict[str, object]:
    return {"message_id": str(uuid.uuid4()), "args": args}


def soon(days: int = 5) -> str:
    return str((datetime.now(UTC) + timedelta(days=days)).date())


async def test_the_api_lists_shows_and_takes_what_people_say(
    http: httpx.AsyncClient, tenant: Tenant, stage: Stage
) -> None:
    await collected(stage, "C/1")
    where = "/api/v1/collections/USMF/C%2F1"
    rows = (await http.get("/api/v1/collections?overdue=true&account=C/1", headers=tenant.bearer("ines"))).json()
    assert [(r["account"], r["level"], r["overdue"]) for r in rows["items"]] == [("C/1", "final", "1045.00")]
    shown = (await http.get(where, headers=tenant.bearer("rita"))).json()
    first, second = shown["state"]["invoices"]
    assert (first["number"], first["level"], second["level"], shown["state"]["letters_written"]) == ("INV-1", 3, 0, 3)
    dispute = body(invoice="INV-1", amount="200.00", reason="<broken>")
    told = await http.post(f"{where}/commands/dispute_open", json=dispute, headers=tenant.bearer("rita"))
    assert (told.status_code, told.json()["accepted"]) == (200, True)
    again = await http.post(f"{where}/commands/dispute_open", json=dispute, headers=tenant.bearer("rita"))
    assert again.json() == told.json(), "the same id counts once"
    cases = [
        ("ines", "dispute_open", body(invoice="INV-1", amount="1", reason="r"), 409, "ALREADY_DISPUTED"),
        ("rita", "dispute_resolve", body(invoice="INV-1", outcome="uphold", reason="r"), 403, "NO_AUTHORITY"),
        ("greta", "promise_to_pay", body(invoice="INV-1", amount="1", until=soon(), reason="r"), 403, "NO_AUTHORITY"),
        ("ines", "promise_to_pay", body(invoice="INV-9", amount="1", until=soon(), reason="r"), 404, "UNKNOWN_INVOICE"),
        ("ines", "promise_to_pay", body(invoice="INV-2", amount="1", until=soon(99), reason="r"), 400, "BAD_ARGUMENT"),
        (
            "ines",
            "promise_to_pay",
            body(invoice="INV-2", amount="1.5e3", until=soon(), reason="r"),
            400,
            "BAD_ARGUMENT",
        ),
        ("ines", "collections_pause", body(until="soon", reason="r"), 400, "BAD_ARGUMENT"),
        ("ines", "collections_pause", body(until=soon(), reason=" "), 400, "BAD_ARGUMENT"),
        ("ines", "collections_resume", body(reason="r"), 409, "NOT_PAUSED"),
        ("ines", "sing", body(), 404, "NOT_FOUND"),
    ]
    for who, name, content, status, code in cases:
        answer = await http.post(f"{where}/commands/{name}", json=content, headers=tenant.bearer(who))
        assert problem(answer, status, code)["detail"], (who, name)
    settled = body(invoice="INV-1", outcome="uphold", reason="it was whole")
    ok = await http.post(f"{where}/commands/dispute_resolve", json=settled, headers=tenant.bearer("ines"))
    assert ok.json()["detail"] == "Dispute of INV-1 settled: uphold"
    for who in ("greta", "mona", "nemo"):
        problem(await http.get(where, headers=tenant.bearer(who)), 403, "NO_AUTHORITY")
        problem(await http.get("/api/v1/collections", headers=tenant.bearer(who)), 403, "NO_AUTHORITY")
    problem(await http.get("/api/v1/collections/usmf/none", headers=tenant.bearer("ines")), 404, "NOT_FOUND")
    gone = await http.post(
        "/api/v1/collections/usmf/none/commands/collections_resume",
        json=body(reason="r"),
        headers=tenant.bearer("ines"),
    )
    problem(gone, 404, "NOT_FOUND")


async def test_letters_are_html_and_pdf_of_one_record(http: httpx.AsyncClient, tenant: Tenant, stage: Stage) -> None:
    await collected(stage, "L-1")
    await collected(stage, "L-2", name="株式会社")
    where = "/api/v1/collections/usmf/L-1/letters"
    letter = Letter.model_validate((await http.get(f"{where}/2", headers=tenant.bearer("ines"))).json())
    assert (letter.level, letter.fee, letter.to_pay) == ("notice", Decimal(25), Decimal(1070))
    page = letters.as_html(letter)
    assert "Contoso &lt;Inc&gt;" in page and "1,070.00 USD" in page and "INV-2" not in page, "it is not overdue"
    pdf = await http.get(f"{where}/2/pdf", headers=tenant.bearer("ines"))
    assert pdf.headers["content-type"] == "application/pdf" and pdf.content.startswith(b"%PDF-")
    assert pdf.content == letters_pdf.as_pdf(letter), "the same record is the same file"
    german = letter.model_copy(update={"language": "de-AT"})
    with using(LANGUAGES["es"]):
        page = letters.as_html(german)
    assert '<html lang="de">' in page and "<h1>Mahnung</h1>" in page and "1.070,00 USD" in page
    assert "trotz unserer Erinnerung" in page and letters_pdf.as_pdf(german) != pdf.content
    assert letters.subject(letter.model_copy(update={"language": "tlh"})) == "Overdue notice"
    assert "letter-usmf-L-1-2.pdf" in pdf.headers["content-disposition"]
    problem(await http.get(f"{where}/9", headers=tenant.bearer("ines")), 404, "NOT_FOUND")
    unprintable = await http.get("/api/v1/collections/usmf/L-2/letters/1/pdf", headers=tenant.bearer("ines"))
    assert "Q2C_WEB_LETTER_FONT_FILE" in problem(unprintable, 400, "BAD_ARGUMENT")["detail"]


async def test_the_pages_show_and_take_the_same_without_javascript(browser: Browser, stage: Stage) -> None:
    await collected(stage, "P-1")
    ines, mona = await browser("ines"), await browser("mona")
    assert 'href="/collections"' not in (await mona.get("/")).text
    assert (await mona.get("/collections")).status_code == 403
    shown = (await ines.get("/collections?overdue=1&account=P-1")).text
    assert 'href="/collections/usmf/P-1"' in shown and "1,045.00 USD" in shown
    page = (await ines.get("/collections/usmf/P-1")).text
    assert "New orders are held" in page and "Contoso &lt;Inc&gt;" in page and "/cases/usmf/Q%2F1%20%C3%BC" in page
    action = "/collections/usmf/P-1/commands/promise_to_pay"
    form = form_of(page, action) | {"amount": "1045", "until": soon(), "reason": "<phone>"}
    refused = await ines.post(action, data=form | {"amount": "9999"})
    assert refused.status_code == 400 and "no more than the 1,045.00 USD" in refused.text
    assert 'value="9999"' in refused.text, "what was typed is kept"
    taken = await ines.post(action, data=form)
    assert taken.status_code == 303
    after = (await ines.get(taken.headers["location"])).text
    assert "It is recorded" in after and f"by {soon()}" in after and "&lt;phone&gt;" in after
    forged = await ines.post(action, data=form | {"csrf": "x"})
    assert forged.status_code == 403
    letter = (await ines.get("/collections/usmf/P-1/letters/3")).text
    assert "Final notice" in letter and "we take no new orders" in letter
    assert re.search(r'href="/static/site.css', letter) and "PDF" in html.unescape(page)
    assert (await ines.get("/collections/usmf/P-1/letters/3/pdf")).content.startswith(b"%PDF-")
    assert (await ines.get("/collections/usmf/none")).status_code == 404
    assert (await ines.get("/collections/usmf/P-1/letters/99")).status_code == 404


async def test_the_list_is_a_file_of_all_pages_for_who_may_see_it(browser: Browser, stage: Stage) -> None:
    for n in range(3):
        await collected(stage, f"FILE-{n}")
    ines = await browser("ines")
    page = (await ines.get("/collections?account=FILE")).text
    assert 'href="/collections.csv?account=FILE"' in page
    answer = await ines.get("/collections.csv?account=FILE&cursor=")
    assert answer.headers["content-type"].startswith("text/csv")
    read = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert sorted((row["Account"], row["Overdue"], row["Currency"], row["Level"]) for row in read) == [
        (f"FILE-{n}", "1045.00", "USD", "final") for n in range(3)
    ]
    assert (await (await browser("nemo")).get("/collections.csv")).status_code == 403
