"""What `q2c doctor` says of the application that reads in bulk."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from cli import bulk_checks
from cli.check import Check
from sandbox.runtime import Sandbox
from tests.workflows.compare_world import settings_of
from workers.reading_settings import ReaderSettings
from workers.settings import Settings


async def checks(settings: Settings) -> dict[str, Check]:
    return {check.name: check async for check in bulk_checks.run(settings)}


async def test_it_says_whether_the_reader_may_read_and_what_to_do(sandbox: Sandbox, tmp_path: Path) -> None:
    settings = settings_of(sandbox, tmp_path, None)

    well = await checks(settings)
    assert {name: check.status for name, check in well.items()} == {
        "comparisons: dataverse": "ok",
        "comparisons: finance": "ok",
    }

    wrong = ReaderSettings(client_id=settings.reader.client_id, client_secret=SecretStr("wrong"))
    for check in (await checks(settings.model_copy(update={"reader": wrong}))).values():
        assert check.status == "failed"
        assert "AADSTS7000215" in check.text
        assert "Trace ID" not in check.text
        assert "the application that reads" in check.remedy

    (nothing,) = (await checks(settings.model_copy(update={"reader": ReaderSettings()}))).values()
    assert (nothing.status, nothing.text) == (
        "ok",
        "not looked at: Q2C_READER_CLIENT_SECRET is not given (docs/comparison.md)",
    )
