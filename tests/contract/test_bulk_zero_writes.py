"""Reading in bulk cannot write: the client has no method for it, and nothing that could write leaves the process.

That the server refuses it as well is in ``test_bulk_reader``; that no client with writes is within reach, in the import
contracts.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator

import httpx
import pytest

from dynamics.bulk.reader import Reader
from dynamics.core.auth import Credentials
from dynamics.core.batch import ChangeSet, Read, Write, format_batch
from dynamics.core.errors import System
from dynamics.core.reading import WriteRefused, refuse_writes
from dynamics.core.transport import Endpoint
from sandbox.runtime import Sandbox

ROOT = "https://contoso.operations.dynamics.com/data/"


@pytest.fixture
async def readers(sandbox: Sandbox) -> AsyncIterator[dict[System, Reader]]:
    info = sandbox.info
    who = Credentials(
        f"{info.entra}/{info.tenant}", info.reader_client_id, info.reader_client_secret, info.ca_file, False
    )
    found = {
        System.DATAVERSE: Reader(System.DATAVERSE, Endpoint(info.dataverse, ca_file=info.ca_file), who),
        System.FINANCE: Reader(System.FINANCE, Endpoint(info.finance, ca_file=info.ca_file), who),
    }
    yield found
    for reader in found.values():
        await reader.aclose()


def test_the_reader_has_no_method_that_writes() -> None:
    methods = {name for name, _ in inspect.getmembers(Reader, inspect.isfunction) if not name.startswith("_")}

    assert methods == {"aclose", "row", "page", "together"}


async def test_it_reads_rows_pages_and_several_together(readers: dict[System, Reader]) -> None:
    path = "CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')?cross-company=true&$select=CustomerAccount"
    missing = path.replace("US-001", "US-NONE")

    row = await readers[System.FINANCE].row(path)
    found, gone = await readers[System.FINANCE].together([path, missing])
    page = await readers[System.DATAVERSE].page("accounts?$select=accountnumber", rows=2)

    assert row["CustomerAccount"] == found.value()["CustomerAccount"] == "US-001"
    assert gone.error is not None
    assert len(page.rows) == 2
    assert page.next_link is not None
    assert (await readers[System.DATAVERSE].page(page.next_link, rows=2)).rows


@pytest.mark.parametrize("system", [System.DATAVERSE, System.FINANCE])
async def test_a_write_planted_in_the_reader_never_leaves(
    readers: dict[System, Reader], system: System, desk: httpx.AsyncClient
) -> None:
    odata = readers[system]._odata
    entity_set = "accounts" if system is System.DATAVERSE else "CustomersV3"
    planted = (
        lambda: odata.post(entity_set, {"name": "Adatum"}),
        lambda: odata.patch(f"{entity_set}(1)", {"name": "Adatum"}),
        lambda: odata.put(f"{entity_set}(1)", {"name": "Adatum"}),
        lambda: odata.delete(f"{entity_set}(1)"),
        lambda: odata.action("WinQuote", {}),
        lambda: odata.batch([Read(entity_set), ChangeSet((Write("POST", entity_set, {"name": "Adatum"}),))]),
    )
    before = (await desk.get("/requests")).json()

    for write in planted:
        with pytest.raises(WriteRefused, match="the reader sends nothing that could write"):
            await write()

    after = (await desk.get("/requests")).json()
    assert [request for request in after if request not in before and request["system"] != "entra"] == []


def batch(body: bytes, kind: str = 'multipart/mixed; boundary="b"') -> httpx.Request:
    return httpx.Request("POST", f"{ROOT}$batch", content=body, headers={"Content-Type": kind})


def part(text: str) -> bytes:
    return f"--b\r\n{text}\r\n--b--\r\n".encode()


GET = (
    "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nGET /data/CustomersV3 HTTP/1.1\r\n\r\n"
)


async def test_a_batch_of_reads_leaves_and_no_other() -> None:
    kind, body = format_batch([Read("CustomersV3"), Read("CustomersV3?$top=1")], ROOT)
    await refuse_writes(batch(body, kind))
    await refuse_writes(batch(part(GET)))
    await refuse_writes(httpx.Request("GET", f"{ROOT}CustomersV3"))

    for body in (
        part(GET.replace("GET /", "POST /")),
        part(GET.replace("GET /", "get /")),
        part(GET + "POST /data/CustomersV3 HTTP/1.1\r\n\r\n{}"),
        part("Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n" + GET + "--c--"),
        b"POST /data/CustomersV3 HTTP/1.1\r\n\r\n" + part(GET),
        part(GET) + b"POST /data/CustomersV3 HTTP/1.1\r\n\r\n",
        part(GET).removesuffix(b"--\r\n"),
        b"",
    ):
        with pytest.raises(WriteRefused):
            await refuse_writes(batch(body))
    for kind in ("application/json", "multipart/mixed", "multipart/mixed; boundary=other"):
        with pytest.raises(WriteRefused):
            await refuse_writes(batch(part(GET), kind))
    for method in ("POST", "PATCH", "PUT", "DELETE", "MERGE"):
        with pytest.raises(WriteRefused):
            await refuse_writes(httpx.Request(method, f"{ROOT}CustomersV3"))
