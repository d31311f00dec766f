"""Temporal Web in a real browser: clear text for who may read it, sealed payloads for everybody else."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Page, Route, expect, sync_playwright

from demo.ports import free_ports
from runs import names
from tests.deadlines import PATIENCE
from tests.sealing import KEYS_FILE
from tests.stack import Deal, Stack, line

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed")


@pytest.fixture(scope="module")
def deal(stack: Stack) -> Deal:
    deal = stack.deal(line("P100", 10, "5"), name="Packaging line of Wingtip")
    deal.submitted()
    return deal


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = chromium.new_page()
        page.set_default_timeout(PATIENCE * 1_000)
        expect.set_options(timeout=PATIENCE * 1_000)
        yield page
        chromium.close()


@pytest.fixture(scope="module")
def strict(stack: Stack) -> Iterator[str]:
    """A codec server as in production: a reader signs in."""
    (port,) = free_ports(1)
    environment = {
        "Q2C_CODEC_KEYS_FILE": str(KEYS_FILE),
        "Q2C_CODEC_PORT": str(port),
        "Q2C_CODEC_ORIGINS": stack.ready["temporal_ui"],
        "Q2C_ENTRA_URL": stack.ready["entra"],
        "Q2C_ENTRA_TENANT": stack.ready["tenant"],
        "Q2C_WEB_CLIENT_ID": stack.ready["web_client_id"],
        "Q2C_CA_FILE": stack.ready["ca_file"],
    }
    process = subprocess.Popen([sys.executable, "-m", "cli", "codec"], env=os.environ | environment)
    url = f"http://127.0.0.1:{port}"
    for _ in range(int(PATIENCE / 0.2)):
        try:
            httpx.get(f"{url}/health/ready", trust_env=False)
            break
        except httpx.TransportError:
            time.sleep(0.2)
    yield url
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="module")
def history(stack: Stack, deal: Deal) -> str:
    """Address of the run's history in Temporal Web."""
    workflow_id = names.deal_id(deal.company, deal.quote)

    async def run_id() -> str:
        return str((await (await stack.temporal()).get_workflow_handle(workflow_id).describe()).run_id)

    run = f"{quote(workflow_id, safe='')}/{asyncio.run(run_id())}"
    return f"{stack.ready['temporal_ui']}/namespaces/default/workflows/{run}/history"


def asks(strict: str, authorization: str) -> Callable[[Route], None]:
    """Temporal Web's question put to the strict server, with the token its reader signed in with."""

    def forward(route: Route) -> None:
        request = route.request
        if request.method != "POST":
            route.continue_()
            return
        headers = {
            "content-type": "application/json",
            "x-namespace": request.headers["x-namespace"],
            "origin": request.headers["origin"],
            **({"authorization": authorization} if authorization else {}),
        }
        answer = httpx.post(
            f"{strict}/decode", content=request.post_data or "", headers=headers, trust_env=False, timeout=60
        )
        allowed = answer.headers["access-control-allow-origin"]
        route.fulfill(status=answer.status_code, body=answer.text, headers={"access-control-allow-origin": allowed})

    return forward


def test_a_newcomer_reads_temporal_web_without_a_setting_or_a_sign_in(deal: Deal, history: str, page: Page) -> None:
    page.goto(history)
    expect(page.get_by_text(f"Quote {deal.quote} of USMF: quote to cash").first).to_be_visible()
    expect(page.get_by_text("Read, validate and price").first).to_be_visible()
    assert "binary/encrypted" not in page.inner_text("body")


def test_without_the_codec_server_temporal_web_shows_sealed_payloads(stack: Stack, history: str, page: Page) -> None:
    page.route(f"{stack.ready['codec']}/**", lambda route: route.abort())
    page.goto(history)
    expect(page.get_by_text("assess_quote").first).to_be_visible()
    shown = page.content()
    assert "quote to cash" not in shown and "Read, validate and price" not in shown and "Wingtip" not in shown


@pytest.mark.parametrize(("reader", "reads"), [("otto", True), ("rita", False), ("", False)])
def test_temporal_web_opens_what_its_reader_may_read(
    stack: Stack, history: str, page: Page, strict: str, reader: str, reads: bool
) -> None:
    token = stack.person(reader).http.headers["authorization"] if reader else ""
    page.route(f"{stack.ready['codec']}/decode**", asks(strict, token))  # it is asked with a query
    with page.expect_response(lambda response: response.url.startswith(f"{stack.ready['codec']}/decode")):
        page.goto(history)
    expect(page.get_by_text("assess_quote").first).to_be_visible()
    if reads:
        expect(page.get_by_text("Read, validate and price").first).to_be_visible()
    else:
        page.wait_for_timeout(2_000)  # Temporal Web asks again and again: it never comes to rest
        assert "Read, validate and price" not in page.content()
