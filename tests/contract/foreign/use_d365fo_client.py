"""d365fo-client: version, metadata service, enumerations, rows by key, and a JSON service of Finance."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from pathlib import Path

INFO = json.loads(Path(sys.argv[1]).read_text())
os.environ["HOME"] = str(Path.cwd())  # it keeps caches there

from azure.identity import ClientSecretCredential  # noqa: E402
from d365fo_client.client import FOClient  # noqa: E402
from d365fo_client.models import FOClientConfig, QueryOptions  # noqa: E402


async def work() -> None:
    """What an integration with Finance does, from the first connection to a deleted order."""
    config = FOClientConfig(
        base_url=INFO["finance"],
        verify_ssl=ssl.create_default_context(cafile=INFO["ca_file"]),
        metadata_cache_dir=str(Path.cwd()),
        enable_metadata_cache=False,
    )
    async with FOClient(config) as client:
        # It sends no real token to localhost: ask for one as it does elsewhere.
        client.auth_manager._is_localhost = lambda: False
        client.auth_manager.credential = ClientSecretCredential(
            INFO["tenant"],
            INFO["client_id"],
            INFO["client_secret"],
            authority=INFO["entra"],
            disable_instance_discovery=True,
            connection_verify=INFO["ca_file"],
        )
        assert await client.test_connection() and await client.test_metadata_connection()
        assert (await client.get_application_version()).startswith("10.0.")
        schema = await client.get_public_entity_schema_by_entityset("CustomersV3")
        assert schema.name == "CustomerV3" and not schema.is_read_only
        assert (await client.get_public_enumeration_info("NoYes")).members[1].name == "Yes"
        query = QueryOptions(select=["OrganizationName"], filter="CustomerAccount eq 'US-001'", count=True)
        assert (await client.get_entities("CustomersV3", query))["@odata.count"] == 1
        made = await client.create_entity(
            "SalesOrderHeadersV4", {"dataAreaId": "usmf", "OrderingCustomerAccountNumber": "US-001"}
        )
        key = {"dataAreaId": "usmf", "SalesOrderNumber": made["SalesOrderNumber"]}
        await client.update_entity("SalesOrderHeadersV4", key, {"CustomersOrderReference": "PO 7"})
        assert (await client.get_entity("SalesOrderHeadersV4", key))["CustomersOrderReference"] == "PO 7"
        session = await client.post_json_service("UserSessionService", "AifUserSessionService", "GetUserSessionInfo")
        assert session.success and session.data["Company"] == "USMF"
        assert await client.delete_entity("SalesOrderHeadersV4", key)


asyncio.run(work())
