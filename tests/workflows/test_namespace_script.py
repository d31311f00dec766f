"""deploy/temporal/namespace.sh, run by the real command against a real server."""

from __future__ import annotations

import asyncio
import os
import uuid
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.testing import WorkflowEnvironment

from demo.temporal_server import temporal_binary
from runs.attributes import ATTRIBUTES

SCRIPT = Path(__file__).parents[2] / "deploy/temporal/namespace.sh"


class Namespace:
    """A namespace that the script is to make."""

    def __init__(self, env: WorkflowEnvironment) -> None:
        self.name = f"made-{uuid.uuid4().hex[:8]}"
        self._client = env.client

    async def make(self, *, path: Path | None = None, archive: str = "") -> tuple[int, str]:
        """Run the script: its exit code and what it says."""
        environment = {
            "PATH": f"{path or temporal_binary().parent}:{os.environ['PATH']}",
            "TEMPORAL_ADDRESS": self._client.service_client.config.target_host,
            "TEMPORAL_NAMESPACE": self.name,
            "TEMPORAL_CONFIG_FILE": os.devnull,
            "TEMPORAL_ARCHIVE": archive,
        }
        process = await asyncio.create_subprocess_exec("sh", str(SCRIPT), env=environment, stdout=PIPE, stderr=STDOUT)
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    async def days(self) -> int:
        """How long it keeps closed runs."""
        asked = DescribeNamespaceRequest(namespace=self.name)
        found = await self._client.workflow_service.describe_namespace(asked)
        return found.config.workflow_execution_retention_ttl.ToTimedelta().days

    async def attributes(self) -> dict[str, str]:
        """Those of the product, by name."""
        asked = ListSearchAttributesRequest(namespace=self.name)
        found = (await self._client.operator_service.list_search_attributes(asked)).custom_attributes
        kinds = {name: IndexedValueType.Name(kind) for name, kind in found.items() if name.startswith("Q2C")}
        return {name: kind.removeprefix("INDEXED_VALUE_TYPE_").replace("_", "").lower() for name, kind in kinds.items()}


async def test_it_makes_a_namespace_with_its_retention_and_attributes_and_changes_nothing_the_second_time(
    environment: WorkflowEnvironment,
) -> None:
    made = Namespace(environment)
    code, said = await made.make()
    assert code == 0, said
    assert await made.days() == 90
    assert await made.attributes() == {attribute.name: attribute.kind.lower() for attribute in ATTRIBUTES}
    code, said = await made.make()
    assert (code, said) == (0, "")


async def test_a_server_that_archives_nothing_is_not_believed_and_one_that_does_gets_the_attributes_as_well(
    environment: WorkflowEnvironment, tmp_path: Path
) -> None:
    made = Namespace(environment)
    code, said = await made.make(archive="file:///archive")
    assert code == 1
    assert "The server archives nothing" in said
    assert await made.attributes() == {}
    # The development server cannot archive: what the command reads back is all that differs.
    wrapper = tmp_path / "temporal"
    wrapper.write_text(f'#!/bin/sh\n{temporal_binary()} "$@" | sed s/ARCHIVAL_STATE_DISABLED/ARCHIVAL_STATE_ENABLED/\n')
    wrapper.chmod(0o755)
    code, said = await made.make(path=tmp_path, archive="file:///archive")
    assert code == 0, said
    assert len(await made.attributes()) == len(ATTRIBUTES)
