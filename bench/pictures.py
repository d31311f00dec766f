"""The pictures of the documentation that show commands and pages of ours, made anew.

    uv run python -m bench.pictures [docs/images]

A stack whose Dataverse knows nothing of the product is set up as docs/tenant-set-up.md says, and another one is used;
what commands print and pages show is the picture. Dashboards are drawn by bench/observed.py.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tests.e2e.test_setup import KEY, q2c
from tests.stack import Stack, line

CHROMIUM: Final = "/usr/bin/chromium"
COLUMNS: Final = 118
MOST_LINES: Final = 34
"""Lines of a command that are shown; what lies between the first and the last is left out."""
TERMINAL: Final = """<meta charset=utf-8><style>
body{{margin:0;background:#14181d;width:max-content}}
pre{{margin:0;padding:14px 18px;color:{foreground};font:13px/1.35 'DejaVu Sans Mono',monospace}}
</style><pre>{code}</pre>"""


def main() -> int:
    """Make them all; the exit code."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images")
    bare = {"Q2C_SANDBOX_BARE": "1", "Q2C_SANDBOX_APPLICATION_ROLE": "", "Q2C_SANDBOX_WEBHOOK_KEY": KEY}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for draw, environment in ((_set_up, bare), (_used, {})):
            with tempfile.TemporaryDirectory() as state:
                stack = Stack.start(Path(state), **environment)
                try:
                    draw(stack, browser, folder)
                finally:
                    stack.stop()
        browser.close()
    return 0


def _set_up(stack: Stack, browser: Browser, folder: Path) -> None:
    """What the administrator of a tenant sees."""
    token = stack.token_of("ada", f"{stack.ready['dataverse']}/.default")
    words = ("setup", "dataverse", "--dry-run", "--token-stdin")
    _terminal(browser, folder / "setup-dry-run.png", words, q2c(stack, *words, token=token))
    made = q2c(stack, "setup", "dataverse", "--enable-auditing", "--token-stdin", token=token)
    if made.returncode:
        raise RuntimeError(made.stdout + made.stderr)
    _terminal(browser, folder / "doctor.png", ("doctor",), q2c(stack, "doctor"))


def _used(stack: Stack, browser: Browser, folder: Path) -> None:
    """What people see on the first day."""
    who, said = "US-001", "They buy the second hall as well."
    deal = stack.deal(line("P250", 100, "22"), customer=who, name="Packaging line, second hall", description=said)
    for quantity, discount in ((10, "5"), (20, "12"), (-3, "0")):
        stack.deal(line("P100", quantity, discount), customer=who).rep("activate")
    _terminal(browser, folder / "import.png", ("import",), q2c(stack, "import"))
    deal.submitted("approval")
    deal.asks("mona")
    page = _signed_in(stack, browser, "mona")
    page.screenshot(path=folder / "inbox.png")
    page.goto(f"/approvals/usmf/{deal.quote}/1")
    page.screenshot(path=folder / "approval.png")
    q2c(stack, "compare", "customer", "--company", "usmf")
    page = _signed_in(stack, browser, "ada")
    page.goto("/data/differences")
    page.set_viewport_size({"width": 1180, "height": 1040})
    page.screenshot(path=folder / "differences.png")


def _signed_in(stack: Stack, browser: Browser, name: str) -> Page:
    context = browser.new_context(base_url=stack.ready["web"], timezone_id="America/New_York")
    page = context.new_page()
    page.set_viewport_size({"width": 1180, "height": 620})
    page.goto("/")
    page.locator(f"button[name=user][value={name}]").click()
    page.wait_for_url(f"{stack.ready['web']}/")
    return page


def _terminal(browser: Browser, picture: Path, words: tuple[str, ...], done: subprocess.CompletedProcess[str]) -> None:
    """What a command printed, as a terminal shows it."""
    lines = (done.stdout + done.stderr).splitlines()
    if len(lines) > MOST_LINES:
        half = MOST_LINES // 2
        lines = [*lines[:half], f"… {len(lines) - 2 * half} more lines …", *lines[-half:]]
    console = Console(record=True, width=COLUMNS, file=StringIO())
    console.print(Text.assemble(("$ ", "dim"), (f"q2c {' '.join(words)}", "bold")))
    for text in lines:
        console.print(Text.from_ansi(text), overflow="fold")
    page = browser.new_page()
    page.set_content(console.export_html(theme=MONOKAI, inline_styles=True, code_format=TERMINAL))
    page.locator("pre").screenshot(path=picture)
    page.close()


if __name__ == "__main__":
    sys.exit(main())
