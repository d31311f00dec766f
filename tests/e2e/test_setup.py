"""A tenant's first day: Dataverse as Microsoft delivers it, `q2c setup dataverse`, and a whole deal on what it made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.sealing import KEYS_FILE
from tests.stack import Stack, assert_sound, line, money

KEY = "webhook-key-of-the-bare-sandbox"


@pytest.fixture(scope="module")
def bare_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A product whose Dataverse knows nothing of it: its application user has no role at all."""
    running = Stack.start(
        tmp_path_factory.mktemp("bare"),
        Q2C_SANDBOX_BARE="1",
        Q2C_SANDBOX_APPLICATION_ROLE="",
        Q2C_SANDBOX_WEBHOOK_KEY=KEY,
    )
    yield running
    running.stop()


def q2c(stack: Stack, *arguments: str, token: str = "") -> subprocess.CompletedProcess[str]:
    """A command with the settings of a stack, as its administrator would give it."""
    ready = stack.ready
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("Q2C_", "TEMPORAL_"))}
    state = ready["state_dir"]
    settings = {
        "Q2C_STATE_DIR": state,
        "Q2C_CA_FILE": ready["ca_file"],
        "Q2C_ENTRA_URL": ready["entra"],
        "Q2C_ENTRA_CLIENT_SECRET": ready["client_secret"],
        "Q2C_DATAVERSE_URL": ready["dataverse"],
        "Q2C_DATAVERSE_WEBHOOK_KEY": KEY,
        "Q2C_FINANCE_URL": ready["finance"],
        "Q2C_WEB_URL": ready["web"],
        "Q2C_DECISION_PRIVATE_KEY_FILE": f"{state}/decision-key.json",
        "Q2C_DECISION_PUBLIC_KEYS_FILE": f"{state}/decision-jwks.json",
        "Q2C_CODEC_KEYS_FILE": str(KEYS_FILE),
        "Q2C_LEDGER_URL": f"sqlite:///{state}/ledger.db",
        "TEMPORAL_ADDRESS": ready["temporal"],
    }
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        env=inherited | settings | {"COLUMNS": "200"},
        input=token,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_a_bare_environment_is_set_up_by_an_administrator_and_carries_a_deal(bare_stack: Stack) -> None:
    token = bare_stack.token_of("ada", f"{bare_stack.ready['dataverse']}/.default")

    told = q2c(bare_stack, "setup", "dataverse", "--dry-run", "--token-stdin", token=token)
    assert told.returncode == 1, told.stdout + told.stderr
    assert "would column quote.q2c_approvalstatus: missing: create it" in told.stdout
    assert "TO DO auditing of quote: off. To do: run `q2c setup dataverse --enable-auditing`" in told.stdout
    set_up = ("setup", "dataverse", "--enable-auditing", "--token-stdin")
    told = q2c(bare_stack, *set_up, "--dry-run", "--json", token=token)
    assert told.returncode == 0, told.stdout + told.stderr
    assert {part["state"] for part in json.loads(told.stdout)["parts"]} == {"ok", "would change"}

    done = q2c(bare_stack, *set_up, token=token)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "done application user: it does not hold the role Quote to Cash: give it the role" in done.stdout
    again = q2c(bare_stack, "setup", "dataverse", "--token-stdin", token=token)
    assert again.stdout.startswith("Nothing to change: all "), again.stdout
    doctor = q2c(bare_stack, "doctor")
    assert doctor.returncode == 0, doctor.stdout

    deal = bare_stack.deal(line("P100", 10, "5"))
    deal.accepted()
    deal.ship()
    deal.waits_for("invoice")
    deal.invoice()
    deal.waits_for("payment")
    deal.pay("1045.00")
    assert money(deal.ends("closed")["paid"]) == money("1045.00")
    assert_sound(deal)


def test_setup_without_an_administrator_says_who_is_needed(bare_stack: Stack) -> None:
    token = bare_stack.token_of("rita", f"{bare_stack.ready['dataverse']}/.default")

    refused = q2c(bare_stack, "setup", "dataverse", "--token-stdin", token=token)
    no_token = q2c(bare_stack, "setup", "dataverse", "--token-stdin")

    assert refused.returncode == 1
    assert "prvReadPublisher" in refused.stdout
    assert (no_token.returncode, no_token.stderr.strip()) == (2, "--token-stdin: standard input holds no token.")
