"""An approver decides from a mail: the link signs in and comes back, and one more click confirms."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from domain.notices import of_request, untold
from domain.notices_box import Box
from domain.notices_policy import NoticePolicy, tellings
from dynamics.core.network import is_loopback
from notices.rendering import Pages, Templates
from notices.sending import Sender
from notices.targets import read_targets
from runs.approvals import Approvals
from tests.deadlines import PATIENCE
from tests.receivers import mail_server
from tests.rights import POLICY
from tests.stack import Deal, Stack, line
from workers.pages import account_pages, deal_pages, late_pages, parallel_pages, request_pages

CHROMIUM = Path("/usr/bin/chromium")
WANTED = NoticePolicy.model_validate(
    {"version": "1", "everyone": {"targets": ["mail"]}, "roles": {"sales_manager": {"kinds": ["approval.asked"]}}}
)

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")


@pytest.fixture
def deal(stack: Stack) -> Deal:
    """100 x P250 at 12 %, which mona has to approve."""
    deal = stack.deal(line("P250", 100, "12"), name="Packaging line, third hall")
    deal.submitted("approval")
    deal.asks("mona")
    return deal


@pytest.fixture
def page(links: dict[str, str]) -> Iterator[Page]:
    """A browser in which nobody is signed in; it has an event loop of its own, so the mail comes first."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        context = chromium.new_context(ignore_https_errors=True)
        page = context.new_page()
        page.set_default_timeout(PATIENCE * 1_000)
        expect.set_options(timeout=PATIENCE * 1_000)
        yield page
        chromium.close()


async def mailed(stack: Stack, deal: Deal) -> dict[str, str]:
    """The links of the mail that mona gets about a deal's request, by what they are for."""
    request = await Approvals(await stack.temporal()).state("usmf", deal.quote, 1)
    now, web = datetime.now(UTC), stack.ready["web"]
    (notice,) = of_request(untold(request), request, now)
    (telling,) = tellings(notice.model_copy(update={"notice_id": "n"}), POLICY, WANTED, {"mail": True})
    box = Box(origin="run").take(telling, now).grouped(now + timedelta(minutes=1))
    pages = Pages(
        home=f"{web}/",
        deal=deal_pages(web),
        request=request_pages(web),
        account=account_pages(web),
        late=late_pages(web),
        parallel=parallel_pages(web),
    )
    with mail_server() as mailbox:
        url = f'{{"mail": "mailto://127.0.0.1:{mailbox.port}/{{address}}?from=q2c@contoso.example"}}'
        await Sender(read_targets(url, is_loopback), Templates(pages)).send(box.sending[0].message)
    (mail,) = mailbox.mails
    assert mail["to"] == "mona@contoso.example"
    body = mail.get_body(("plain",))
    assert body is not None and "margin" not in body.get_content().lower()
    return dict(re.findall(r"(Approve|Reject|Open):\s+(\S+)", body.get_content()))


@pytest.fixture
def links(stack: Stack, deal: Deal) -> dict[str, str]:
    """The links of the mail that mona gets."""
    return asyncio.run(mailed(stack, deal))


def through_sign_in(page: Page, link: str, name: str) -> None:
    page.goto(link)
    page.locator(f"button[name=user][value={name}]").click()
    page.wait_for_url(link)


def test_an_approver_approves_from_a_mail_in_two_clicks(deal: Deal, links: dict[str, str], page: Page) -> None:
    through_sign_in(page, links["Approve"], "mona")
    expect(page.locator(".decision")).to_contain_text("Nothing is decided until you confirm it here.")
    assert deal.case()["explanation"]["waiting_for"] == "approval", "following the link decided nothing"
    confirm = page.get_by_role("button", name="Confirm: approve")
    expect(confirm).to_be_focused()
    confirm.click()
    expect(page.locator(".notice.good")).to_contain_text("Your decision is recorded.")
    deal.waits_for("rep")


def test_a_rejection_from_a_mail_asks_for_its_reason(deal: Deal, links: dict[str, str], page: Page) -> None:
    through_sign_in(page, links["Reject"], "mona")
    expect(page.locator("textarea[name=comment]")).to_be_focused()
    page.locator("textarea[name=comment]").fill("too low")
    page.get_by_role("button", name="Confirm: reject").click()
    expect(page.locator(".notice.good")).to_contain_text("Your decision is recorded.")
    deal.until(lambda case: case["quote_status"] == "rejected", "rejected")


def test_a_link_passed_on_gives_nobody_a_right(deal: Deal, links: dict[str, str], page: Page) -> None:
    through_sign_in(page, links["Approve"], "dirk")
    expect(page.get_by_role("button", name="Confirm: approve")).to_have_count(0)
    assert deal.case()["explanation"]["waiting_for"] == "approval"
