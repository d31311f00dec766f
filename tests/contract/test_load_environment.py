"""`q2c load` begins only where Dataverse says of itself that it is a test environment."""

from __future__ import annotations

import pytest

from cli.load_work import NotATest, require_test
from dynamics.core.transport import Endpoint
from dynamics.sales.client import Dataverse, DataverseSettings
from tests.contract.clients_world import credentials
from tests.contract.dataverse_world import LiveSandbox


async def test_an_environment_that_is_no_test_or_does_not_say_is_not_loaded(
    live_sandbox: LiveSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = Endpoint(live_sandbox.info.dataverse, ca_file=live_sandbox.info.ca_file)
    async with Dataverse(DataverseSettings(endpoint, credentials(live_sandbox))) as sales:
        await require_test(sales)
        for kind in ("Customer", "Secondary", "Default", "Teams", ""):
            monkeypatch.setattr(live_sandbox.sandbox.dataverse, "organization_type", kind)
            with pytest.raises(NotATest, match=f"no test environment .OrganizationType {kind or 'is not told'}"):
                await require_test(sales)
