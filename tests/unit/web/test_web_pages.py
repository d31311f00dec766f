"""The pages, as a browser without JavaScript uses them: sign-in by the sandbox's Entra ID, reading, deciding."""

from __future__ import annotations

import html
import re
import time
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.applications import Starlette

from domain.approvals import StepPlan
from domain.causes import Cause, what_failed
from domain.views import Ending
from tests.webworld import scenes
from tests.webworld.browsing import SITE, Browser, at_entra, form_of
from tests.webworld.standins import REVIEWED
from tests.webworld.world import Stage, Tenant, dev_server
from web.app import create_app
from web.config import WebConfig
from web.pages import words
from web.signin import local_path


async def test_a_stranger_is_sent_to_sign_in_and_back_to_where_they_wanted(
    http: httpx.AsyncClient, tenant: Tenant
) -> None:
    answer = await http.get("/cases?stage=quote")
    assert answer.status_code == 302
    assert answer.headers["location"] == "/auth/sign-in?next=%2Fcases%3Fstage%3Dquote"
    back = await http.get(await at_entra(tenant, http, "mona", "/cases?stage=quote"))
    assert (back.status_code, back.headers["location"]) == (303, "/cases?stage=quote")
    cookie = next(value for value in back.headers.get_list("set-cookie") if value.startswith("q2c_session="))
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Max-Age=28800" in cookie
    assert "mona" not in cookie.lower()
    assert (await http.get("/cases?stage=quote")).status_code == 200


async def test_a_session_cookie_cannot_be_made_up(browser: Browser) -> None:
    mona = await browser("mona")
    token = mona.cookies["q2c_session"]
    for forged in (token[:-1] + ("A" if token[-1] != "A" else "B"), "x", "a.b.c.d.e", token[:-3], token.upper()):
        mona.cookies.clear()
        mona.cookies.set("q2c_session", forged)
        assert (await mona.get("/")).status_code == 302


async def test_a_sign_in_of_another_browser_is_refused(http: httpx.AsyncClient, tenant: Tenant, app: Starlette) -> None:
    callback = await at_entra(tenant, http, "mona", "/")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=SITE) as other:
        assert "begun in another window" in (await other.get(callback)).text
        await other.get("/auth/sign-in")
        answer = await other.get(callback)
        assert answer.status_code == 400 and "does not belong to this browser" in answer.text
        assert "q2c_session" not in other.cookies


async def test_a_refusal_of_entra_is_shown(http: httpx.AsyncClient) -> None:
    left = await http.get("/auth/sign-in")
    state = parse_qs(urlsplit(left.headers["location"]).query)["state"][0]
    query = {"error": "access_denied", "error_description": "AADSTS65004: User declined.", "state": state}
    answer = await http.get("/auth/callback", params=query)
    assert answer.status_code == 403 and "AADSTS65004" in answer.text


@pytest.mark.parametrize("text", ["https://evil.example/", "//evil.example", "/\\evil.example", "", None, "/auth/x"])
def test_nobody_is_sent_to_another_site_after_sign_in(text: str | None) -> None:
    assert local_path(text) == "/"


@pytest.mark.parametrize("known", [True, False])
async def test_a_request_says_where_it_is_not_known_who_edited_the_quote(
    browser: Browser, stage: Stage, known: bool
) -> None:
    quote = f"MAKERS-{known}"
    REVIEWED[quote] = ()
    await stage.approval(scenes.request(quote, makers=(scenes.OTTO,), makers_known=known))
    page = (await (await browser("mona")).get(f"/approvals/usmf/{quote}/1")).text
    assert "Also made or edited by Otto Olsen, who cannot decide it" in page
    assert ("keeps no complete audit of this quote" in page) is not known
    assert ("Nobody who was seen to have touched it can decide it" in page) is not known


async def test_an_approver_reads_and_approves_without_javascript(browser: Browser, stage: Stage) -> None:
    REVIEWED["PAGE-1"] = (scenes.finding(1, "P250", "100", "195.00", "250.00", "150.00"),)
    await stage.approval(scenes.request("PAGE-1"))
    mona = await browser("mona")
    inbox = (await mona.get("/")).text
    assert 'href="/approvals/usmf/PAGE-1/1"' in inbox
    assert "Discount 22 % is above the 10 % a rep may give alone" in inbox
    page = (await mona.get("/approvals/usmf/PAGE-1/1")).text
    for shown in ("250.00", "195.00", "150.00", "23.08 %", "19,500.00 USD", "Rita Reyes", scenes.HASH):
        assert shown in page
    assert "exposure 76,450.00 of 100,000.00" in page
    action = "/approvals/usmf/PAGE-1/1/decision"
    form = form_of(page, action) | {"decision": "approve", "comment": "margin is <fine>"}
    answer = await mona.post(action, data=form)
    assert answer.status_code == 303
    after = (await mona.get(answer.headers["location"])).text
    assert "Your decision is recorded." in after and "margin is &lt;fine&gt;" in after
    assert "This step is not assigned to you." in after and "Dirk Dorn" in after
    again = await mona.post(action, data=form)
    assert again.headers["location"] == answer.headers["location"]
    late = await mona.post(action, data=form | {"message_id": str(uuid.uuid4())})
    assert late.status_code == 409 and "This was already decided; nothing changed." in late.text


async def test_what_is_missing_in_a_decision_is_said_on_the_page(browser: Browser, stage: Stage) -> None:
    asked = scenes.request("PAGE-2")
    strict = StepPlan.model_validate(asked.plan.steps[0].model_dump() | {"comment_required": True})
    plan = asked.plan.model_copy(update={"steps": (strict, asked.plan.steps[1])})
    await stage.approval(asked.model_copy(update={"plan": plan}))
    REVIEWED["PAGE-2"] = ()
    mona = await browser("mona")
    action = "/approvals/usmf/PAGE-2/1/decision"
    page = (await mona.get("/approvals/usmf/PAGE-2/1")).text
    assert re.search(r"<textarea[^>]*required", page)
    form = form_of(page, action)
    answer = await mona.post(action, data=form | {"decision": "reject", "comment": ""})
    assert answer.status_code == 400 and "A rejection needs a reason: the rep reads it." in answer.text
    anew = {"decision": "approve", "comment": "", "message_id": str(uuid.uuid4())}
    answer = await mona.post(action, data=form | anew)
    assert answer.status_code == 400 and "needs a comment" in answer.text
    answer = await mona.post(action, data=form | {"comment": "typed <once>"})
    assert answer.status_code == 400 and "decision" in answer.text
    assert "typed &lt;once&gt;</textarea>" in answer.text


async def test_the_requester_is_told_that_someone_else_decides(browser: Browser, stage: Stage) -> None:
    REVIEWED["PAGE-3"] = ()
    await stage.approval(scenes.request("PAGE-3"))
    rita = await browser("rita")
    page = (await rita.get("/approvals/usmf/PAGE-3/1")).text
    assert "You asked for this approval, so someone else has to decide it." in page and "/decision" not in page


async def test_a_request_of_10000_lines_is_paged_and_costs_less_than_a_second(browser: Browser, stage: Stage) -> None:
    """Processor time of this process, so that a busy machine fails nothing: worker, web application and reader."""
    one = scenes.finding(1, "P250", "1", "195.00", "250.00", "190.00")
    for quote, count in (("MANY-500", 500), ("MANY-10000", 10_000)):
        REVIEWED[quote] = tuple(one.model_copy(update={"line_no": n + 1}) for n in range(count))
        await stage.approval(scenes.request(quote))
        mona = await browser("mona")
        address = f"/approvals/usmf/{quote}/1"
        await mona.get(address)
        before = time.process_time()
        page = (await mona.get(address)).text
        assert time.process_time() - before < 1
        assert f"Lines 1–100 of {count}" in page and f"{address}?from=100" in page
        last = (await mona.get(f"{address}?from={count - 100}")).text
        assert f"Lines {count - 99}–{count} of {count}" in last and f"?from={count}" not in last


async def test_lines_that_cannot_be_read_do_not_keep_anybody_from_deciding(
    browser: Browser, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.reviews.PATIENCE_SECONDS", 0.3)
    await stage.approval(scenes.request("PAGE-4"))
    mona = await browser("mona")
    page = (await mona.get("/approvals/usmf/PAGE-4/1")).text
    assert "The lines cannot be shown right now" in page
    assert form_of(page, "/approvals/usmf/PAGE-4/1/decision")["seen_hash"] == scenes.HASH


async def test_a_form_of_somebody_else_is_refused(browser: Browser, stage: Stage) -> None:
    REVIEWED["PAGE-5"] = ()
    handle = await stage.approval(scenes.request("PAGE-5"))
    mona, dirk = await browser("mona"), await browser("dirk")
    action = "/approvals/usmf/PAGE-5/1/decision"
    form = form_of((await mona.get("/approvals/usmf/PAGE-5/1")).text, action) | {"decision": "approve"}
    for token in ("", "guess", form_of((await dirk.get("/cases")).text, "/auth/sign-out")["csrf"]):
        answer = await mona.post(action, data=form | {"csrf": token})
        assert answer.status_code == 403 and "Load the page again" in answer.text
    mona.cookies.clear()
    answer = await mona.post(action, data=form)
    assert answer.status_code == 401 and "nothing was recorded" in answer.text
    state = await handle.query("state")
    assert state["steps"][0]["status"] == "pending"


async def test_a_deals_page_says_where_it_stands_and_what_would_unblock_it(browser: Browser, stage: Stage) -> None:
    await stage.deal(scenes.deal("PAGE-6"), scenes.timeline())
    rita = await browser("rita")
    page = (await rita.get("/cases/usmf/PAGE-6")).text
    assert "What would unblock it:</b> Mona Meyer approves or rejects." in page
    assert page.count('class="done"') == 1 and 'class="current" aria-current="step"><span>Quote' in page
    assert "Requester cannot approve" in page
    assert "http://localhost:8233/namespaces/default/workflows/q2c%2Fusmf%2FPAGE-6" in page
    assert "/commands/withdraw" in page and "/commands/credit_release" not in page


async def test_a_credit_manager_releases_a_hold_on_the_page(browser: Browser, stage: Stage) -> None:
    handle = await stage.deal(scenes.held("PAGE-7"))
    carl = await browser("carl")
    assert "/cases/usmf/PAGE-7#act" in (await carl.get("/")).text
    page = (await carl.get("/cases/usmf/PAGE-7")).text
    action = "/cases/usmf/PAGE-7/commands/credit_release"
    until = (datetime.now(UTC) + timedelta(days=5)).date().isoformat()
    form = form_of(page, action)
    wrong = await carl.post(action, data=form | {"reason": "paid <now>", "ceiling": "lots", "valid_until": until})
    assert wrong.status_code == 400 and "ceiling" in wrong.text
    assert f'value="{until}"' in wrong.text and "paid &lt;now&gt;</textarea>" in wrong.text, "what was typed is kept"
    fields = {"reason": "paid by wire", "ceiling": "4500.00", "valid_until": until, "deviation_pct": "2.5"}
    done = await carl.post(action, data=form | fields)
    assert done.status_code == 303
    assert "This is the current state." in (await carl.get(done.headers["location"])).text
    assert await handle.query("received") == [
        f'credit_release {{"ceiling": "4500.00", "deviation_pct": "2.5", "reason": "paid by wire", '
        f'"valid_until": "{until}"}}'
    ]


async def test_a_release_shows_what_the_deals_policy_gives_and_sends_only_what_was_typed(
    browser: Browser, stage: Stage
) -> None:
    handle = await stage.deal(scenes.held("PAGE-13"))
    carl = await browser("carl")
    page = (await carl.get("/cases/usmf/PAGE-13")).text
    for shown in ("this order, 4,500.00", "Left empty: 2.5 %", "Left empty: 7 days"):
        assert shown in page
    for name in ("ceiling", "deviation_pct", "valid_until"):
        field = re.search(rf'<input[^>]*name="{name}"[^>]*>', page)
        assert field and 'value=""' in field[0] and "required" not in field[0]
    action = "/cases/usmf/PAGE-13/commands/credit_release"
    done = await carl.post(action, data=form_of(page, action) | {"reason": "paid", "ceiling": " ", "valid_until": ""})
    assert done.status_code == 303
    assert await handle.query("received") == ['credit_release {"reason": "paid"}']


async def test_who_owns_a_deal_is_neither_offered_its_release_nor_heard(browser: Browser, stage: Stage) -> None:
    own = scenes.held("PAGE-14").model_copy(update={"owner": scenes.CARL})
    handle = await stage.deal(own)
    carl = await browser("carl")
    page = (await carl.get("/cases/usmf/PAGE-14")).text
    assert "/commands/credit_release" not in page and "/commands/credit_reject" in page
    action = "/cases/usmf/PAGE-14/commands/credit_release"
    form = form_of(page, "/cases/usmf/PAGE-14/commands/credit_reject") | {"reason": "mine"}
    for _ in range(3):
        answer = await carl.post(action, data=form | {"message_id": str(uuid.uuid4())})
        assert answer.status_code == 403 and "someone else has to release" in answer.text
    assert await handle.query("received") == [], "what is refused costs the deal nothing"


async def test_a_refused_credit_says_that_it_ends_the_deal(browser: Browser, stage: Stage) -> None:
    await stage.deal(scenes.held("PAGE-15"))
    page = (await (await browser("carl")).get("/cases/usmf/PAGE-15")).text
    assert "goes back to the rep" not in page and "Ends the deal; nothing is ordered." in page


@pytest.mark.parametrize("happened", [(), ("cancelled",), ("returned", "credited")])
async def test_a_quantity_has_a_column_only_where_some_line_has_it(
    browser: Browser, stage: Stage, happened: tuple[str, ...]
) -> None:
    quote = f"COLUMNS-{len(happened)}"
    view = scenes.shipping(quote)
    other = view.lines[0].model_copy(update={"line_no": 2} | dict.fromkeys(happened, Decimal(1)))
    await stage.deal(view.model_copy(update={"lines": (*view.lines, other)}))
    page = (await (await browser("rita")).get(f"/cases/usmf/{quote}")).text
    for name in ("cancelled", "returned", "credited"):
        assert (f'<th class="num">{name.capitalize()}</th>' in page) is (name in happened)
    assert '<th class="num">Ordered</th>' in page


async def test_a_command_the_person_may_not_give_is_neither_offered_nor_taken(browser: Browser, stage: Stage) -> None:
    handle = await stage.deal(scenes.parked("PAGE-8"))
    otto, mona = await browser("otto"), await browser("mona")
    action = "/cases/usmf/PAGE-8/commands/retry"
    offered = (await otto.get("/cases/usmf/PAGE-8")).text
    assert "Site 9 does not exist" in offered.replace("\n", " ")
    form = form_of(offered, action)
    assert action not in (await mona.get("/cases/usmf/PAGE-8")).text
    csrf = form_of((await mona.get("/cases")).text, "/auth/sign-out")["csrf"]
    refused = await mona.post(action, data=form | {"csrf": csrf})
    assert refused.status_code == 403 and "Your roles do not allow this" in refused.text
    assert await handle.query("received") == []
    assert (await otto.post(action, data=form)).status_code == 303
    assert await handle.query("received") == ['retry {"reason": ""}']


async def test_what_nobody_could_answer_yet_is_said_to_be_recorded(
    browser: Browser, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.outcomes.PATIENCE_SECONDS", 0.3)
    handle = await stage.deal(scenes.parked("PAGE-12"))
    otto = await browser("otto")
    action = "/cases/usmf/PAGE-12/commands/retry"
    form = form_of((await otto.get("/cases/usmf/PAGE-12")).text, action)
    answer = await otto.post(action, data=form | {"reason": "unheard"})
    assert answer.status_code == 202 and "<h1>Recorded</h1>" in answer.text
    assert await handle.query("received") == ['retry {"reason": "unheard"}']


async def test_parked_deals_are_in_the_inbox_of_operations(browser: Browser, stage: Stage) -> None:
    await stage.deal(scenes.parked("PAGE-9"))
    assert "Refused by the system" in (await (await browser("otto")).get("/")).text
    assert "PAGE-9" not in (await (await browser("mona")).get("/")).text


@pytest.mark.parametrize(
    ("ending", "title"), [(Ending.CLOSED, "Closed: shipped, invoiced and paid"), (Ending.LOST, "Lost")]
)
async def test_a_deal_that_has_ended_says_how(browser: Browser, stage: Stage, ending: Ending, title: str) -> None:
    quote = f"PAGE-{ending}"
    await stage.deal(scenes.shipping(quote).model_copy(update={"ending": ending}))
    page = (await (await browser("rita")).get(f"/cases/usmf/{quote}")).text
    assert title in page and "What you can do" not in page
    assert page.count('class="done"') == (7 if ending is Ending.CLOSED else 5)


async def test_the_list_of_deals_filters_by_its_address(browser: Browser, stage: Stage) -> None:
    await stage.deal(scenes.deal("ROW-1"))
    await stage.deal(scenes.held("ROW-2"))
    rita = await browser("rita")
    page = (await rita.get("/cases?quote=ROW-&waiting_for=credit")).text
    assert ">ROW-2<" in page and ">ROW-1<" not in page and "4,500.00" in page
    empty = (await rita.get("/cases?quote=ROW-X")).text
    assert "No deals match" in empty
    wrong = await rita.get("/cases?stage=moon")
    assert wrong.status_code == 400 and "stage" in wrong.text


@pytest.mark.parametrize("cause", [cause for cause in Cause if not cause.passes])
async def test_every_cause_of_a_parked_step_is_a_sentence_with_its_raw_answer_behind_details(
    browser: Browser, stage: Stage, cause: Cause
) -> None:
    raw = f"finance POST SalesOrderHeadersV4 400 X: <error code='{cause}'>"
    view = scenes.parked(f"CAUSE-{cause}")
    assert view.parked is not None
    parked = view.parked.model_copy(update={"cause": cause, "message": raw, "suggestion": cause.suggestion})
    await stage.deal(view.model_copy(update={"parked": parked}))
    page = html.unescape((await (await browser("otto")).get(f"/cases/usmf/CAUSE-{cause}")).text)
    card = page[page.index('class="waiting') :]
    headline = card[card.index("<h2>") + 4 : card.index("</h2>")]
    assert headline == what_failed("Create the order in Finance", cause, raw) and "error code" not in headline
    assert f"<b>What would help:</b> {cause.suggestion}" in card
    details = card[card.index('<details class="raw">') : card.index("</details>")]
    assert raw in details and "open" not in details.split(">")[0]


async def test_who_has_no_role_here_sees_nothing(browser: Browser, stage: Stage) -> None:
    await stage.deal(scenes.deal("PAGE-10"))
    nemo, greta = await browser("nemo"), await browser("greta")
    assert (await nemo.get("/")).status_code == 200
    for client, path in ((nemo, "/cases"), (nemo, "/cases/usmf/PAGE-10"), (greta, "/cases/usmf/PAGE-10")):
        answer = await client.get(path)
        assert answer.status_code == 403 and "role" in answer.text
    listed = (await greta.get("/cases?quote=PAGE-10")).text
    assert "PAGE-10" not in re.sub(r"value=\"(quote=)?PAGE-10\"", "", listed), "but what was asked for itself"


async def test_signing_out_ends_the_session_here_andat_entra(browser: Browser, tenant: Tenant) -> None:
    mona = await browser("mona")
    csrf = form_of((await mona.get("/")).text, "/auth/sign-out")["csrf"]
    assert (await mona.post("/auth/sign-out", data={"csrf": "forged"})).status_code == 403
    answer = await mona.post("/auth/sign-out", data={"csrf": csrf})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{tenant.url}/oauth2/v2.0/logout?post_logout_redirect_uri=")
    assert (await mona.get("/")).status_code == 302
    assert "You are signed out" in (await mona.get("/signed-out")).text


async def test_no_page_needs_another_host_or_inline_code(browser: Browser, stage: Stage) -> None:
    REVIEWED["PAGE-11"] = ()
    await stage.deal(scenes.shipping("PAGE-11"))
    await stage.approval(scenes.request("PAGE-11"))
    mona = await browser("mona")
    for path in ("/", "/cases", "/cases/usmf/PAGE-11", "/approvals/usmf/PAGE-11/1", "/nowhere"):
        answer = await mona.get(path)
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*src=)", answer.text)
        for address in re.findall(r'(?:src|<link[^>]*href)="([^"]+)"', answer.text):
            assert address.startswith("/static/")
            asset = await mona.get(address)
            assert asset.status_code == 200 and "immutable" in asset.headers["cache-control"]


async def test_an_error_is_a_page_for_people(browser: Browser) -> None:
    mona = await browser("mona")
    for path, status in (("/nowhere", 404), ("/cases/usmf/NONE", 404), ("/approvals/usmf/NONE/1", 404)):
        answer = await mona.get(path)
        assert answer.status_code == status and "<h1>Page not found</h1>" in answer.text


async def test_with_temporal_down_a_page_says_so_and_offers_to_try_again(
    config: WebConfig, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runs.calls.PATIENCE_SECONDS", 0.5)
    server = await dev_server()
    app = create_app(config, server.client)
    await server.shutdown()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=SITE) as client:
        await client.get(await at_entra(tenant, client, "mona", "/"))
        answer = await client.get("/cases")
        assert answer.status_code == 503 and "Try again" in answer.text
        csrf = form_of(answer.text, "/auth/sign-out")["csrf"]
        form = {"csrf": csrf, "decision": "approve", "step": "1", "seen_hash": "h", "comment": ""}
        answer = await client.post("/approvals/usmf/Q/1/decision", data=form)
        assert answer.status_code == 503 and "not recorded" in answer.text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (words.money(Decimal("19500"), "USD"), "19,500.00 USD"),
        (words.money(Decimal("1045"), "JPY"), "1,045 JPY"),
        (words.money(Decimal("1.0005"), "KWD"), "1.001 KWD"),
        (words.money(None, "USD"), "–"),
        (words.amount(Decimal("1045.0")), "1,045.00"),
        (words.percent(Decimal("23.076923")), "23.08 %"),
        (words.percent(Decimal("22.00")), "22 %"),
        (words.percent(Decimal("0")), "0 %"),
        (words.quantity(Decimal("1500.50")), "1,500.5"),
        (words.quantity(Decimal("10")), "10"),
        (words.words("partially_invoiced"), "Partially invoiced"),
        (words.words("NOT_HELD"), "Not held"),
        (words.waiting("operator"), "Operations"),
    ],
)
def test_how_values_read(text: str, shown: str) -> None:
    assert text == shown


def test_a_timeline_shows_what_a_step_changed() -> None:
    before = "order: quote ordered, credit passed, order confirmed"
    after = "fulfilment: quote ordered, credit passed, order partially_shipped"
    assert words.changed(before, after) == "stage order → fulfilment, order confirmed → partially shipped"
    assert words.changed(before, before) == words.changed("", after) == words.changed("", "") == ""


def test_how_far_off_a_moment_is() -> None:
    now = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
    assert words.distance(now + timedelta(hours=3), now) == "in 3 hours"
    assert words.distance(now - timedelta(days=3), now) == "overdue by 3 days"
    assert words.ago(now - timedelta(minutes=4), now) == "4 minutes ago"
    assert words.ago(now, now) == "just now"
