"""The one way a process of the product connects to Temporal.

Worker, web and command line must agree on the data converter and carry trace context, or one writes what another cannot
read. Address, namespace, API key and TLS come from Temporal's own `TEMPORAL_*` variables or its TOML profile, so that
the `temporal` command line and the product always talk to the same place.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from runs.attributes import ATTRIBUTES
from workers.telemetry import Telemetry

DEFAULT_ADDRESS = "localhost:7233"
CONNECT_TIMEOUT = timedelta(seconds=10)


class TemporalUnusable(Exception):
    """Temporal cannot be reached or is not set up for the product; the text says what to do."""


async def connect(telemetry: Telemetry, environment: Mapping[str, str] | None = None) -> Client:
    """Connect to Temporal.

    Args:
        telemetry: of this process.
        environment: where Temporal's variables are read from; this process's own when absent.

    Raises:
        TemporalUnusable: the server does not answer, or one of Temporal's variables cannot be used.
    """
    try:
        given = ClientConfig.load_client_connect_config(override_env_vars=environment)
    except RuntimeError as error:
        raise TemporalUnusable(
            f"Temporal's profile cannot be read: {error}. Correct TEMPORAL_CONFIG_FILE or TEMPORAL_PROFILE."
        ) from error
    config = {"target_host": DEFAULT_ADDRESS, **given}
    try:
        return await Client.connect(
            **config,  # type: ignore[arg-type]  # a TypedDict loses its types when a default is put under it
            data_converter=pydantic_data_converter,
            interceptors=telemetry.interceptors,
            runtime=telemetry.runtime,
            connect_timeout=CONNECT_TIMEOUT,
        )
    except OSError as error:
        raise TemporalUnusable(f"{error.filename}: {error.strerror}. Correct TEMPORAL_TLS_*.") from error
    except ValueError as error:
        raise TemporalUnusable(
            f"TEMPORAL_ADDRESS: {config['target_host']} is not host:port, e.g. localhost:7233."
        ) from error
    except RuntimeError as error:
        raise TemporalUnusable(
            f"Temporal does not answer at {config['target_host']}: {_why_not(str(error))}. "
            "Start it, or set TEMPORAL_ADDRESS."
        ) from error


def _why_not(text: str) -> str:
    """Why the SDK could not connect, without the names of its library's types."""
    causes = {
        "Connection refused": "nothing listens there",
        "dns error": "its name is not known",
        "timed out": "no answer in time",
        "deadline": "no answer in time",
        "certificate": "its certificate is not trusted, or ours is not accepted",
        "Unauthenticated": "it does not accept our key or certificate",
        "PermissionDenied": "it does not let us in",
    }
    return next((words for sign, words in causes.items() if sign in text), text)


async def missing_attributes(client: Client) -> dict[str, str]:
    """Search attributes the product writes that are not registered, or registered with another type.

    Returns:
        Name and type of each; empty when all is well.

    Raises:
        TemporalUnusable: Temporal refuses to list them.
    """
    try:
        answer = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace), timeout=CONNECT_TIMEOUT
        )
    except RPCError as error:
        raise TemporalUnusable(
            f"Temporal does not list search attributes of namespace {client.namespace!r}: {error.message}"
        ) from error
    registered = dict(answer.custom_attributes)
    return {a.name: a.kind for a in ATTRIBUTES if registered.get(a.name) != int(a.key.indexed_value_type)}


async def require_attributes(client: Client) -> None:
    """Stop a process that could not work.

    A run that sets an attribute nobody registered does not fail: its workflow task fails and is retried forever.

    Raises:
        TemporalUnusable: attributes are missing; the text gives the commands that register them.
    """
    missing = await missing_attributes(client)
    if missing:
        commands = "\n".join(f"  {register_command(name, kind, client.namespace)}" for name, kind in missing.items())
        raise TemporalUnusable(f"Search attributes are missing in namespace {client.namespace!r}. Run:\n{commands}")


def register_command(name: str, kind: str, namespace: str) -> str:
    """The command that registers a search attribute."""
    return f"temporal operator search-attribute create --namespace {namespace} --name {name} --type {kind}"
