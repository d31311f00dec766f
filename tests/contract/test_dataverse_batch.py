"""`$batch`: order, change sets that are atomic, references, and what happens after a failure."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.contract.dataverse_world import ROOT, World, bind

Part = tuple[str, str, Any]


def _single(method: str, path: str, body: Any = None, content_id: str = "") -> str:
    head = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if content_id:
        head.append(f"Content-ID: {content_id}")
    url = path if path.startswith("$") else f"{ROOT}/{path}"
    lines = [*head, "", f"{method} {url} HTTP/1.1", "Content-Type: application/json; type=entry", ""]
    return "\r\n".join([*lines, "" if body is None else json.dumps(body), ""])


def _batch(*items: str | list[Part]) -> bytes:
    """A batch of single parts and, as lists, change sets whose parts are numbered from 1."""
    text = ""
    for item in items:
        if isinstance(item, str):
            text += f"--outer\r\n{item}"
            continue
        text += '--outer\r\nContent-Type: multipart/mixed; boundary="inner"\r\n\r\n'
        for number, (method, path, body) in enumerate(item, start=1):
            text += f"--inner\r\n{_single(method, path, body, str(number))}"
        text += "--inner--\r\n"
    return (text + "--outer--\r\n").encode()


def _send(sales: World, body: bytes, **headers: str) -> tuple[int, list[int], str]:
    """Outer status, inner statuses, and the text of the answer."""
    headers["Content_Type"] = 'multipart/mixed; boundary="outer"'
    answer = sales.request("POST", "$batch", body, **headers)
    return answer.status_code, [int(code) for code in re.findall(r"HTTP/1\.1 (\d+)", answer.text)], answer.text


def _names(sales: World) -> list[str]:
    return sorted(row["name"] for row in sales.dataverse.rows("account"))


def test_requests_run_in_order_and_see_each_other(sales: World) -> None:
    body = _batch(
        _single("POST", "accounts", {"name": "First"}),
        _single("GET", "accounts?$select=name&$filter=name eq 'First'"),
    )

    outer, inner, text = _send(sales, body)

    assert (outer, inner) == (200, [204, 200])
    assert '"name":"First"' in text
    assert "OData-EntityId: https://" in text
    assert "Location: https://" in text


def test_a_change_set_refers_to_what_it_created(sales: World) -> None:
    changes: list[Part] = [
        ("POST", "accounts", {"name": "Parent"}),
        ("POST", "contacts", {"lastname": "Child", "parentcustomerid_account@odata.bind": "$1"}),
        ("PATCH", "$1", {"primarycontactid@odata.bind": "$2"}),
        ("PUT", "$2/transactioncurrencyid/$ref", {"@odata.id": f"transactioncurrencies({sales.usd})"}),
    ]

    outer, inner, _ = _send(sales, _batch(changes))

    assert (outer, inner) == (200, [204, 204, 204, 204])
    (account,) = sales.dataverse.rows("account", name="Parent")
    (contact,) = sales.dataverse.rows("contact")
    assert contact["_parentcustomerid_value"] == account["accountid"]
    assert account["_primarycontactid_value"] == contact["contactid"]
    assert contact["_transactioncurrencyid_value"] == sales.usd


def test_a_failed_change_set_leaves_nothing_and_stops_the_batch(sales: World) -> None:
    before = _names(sales)
    changes: list[Part] = [("POST", "accounts", {"name": "Lost"}), ("POST", "accounts", {"name": "x" * 200})]

    outer, inner, text = _send(sales, _batch(changes, _single("POST", "accounts", {"name": "Never"})))

    assert (outer, inner) == (400, [400])
    assert "0x80044331" in text
    assert "REQ_ID: " in text
    assert _names(sales) == before


def test_continue_on_error_goes_on_and_answers_200(sales: World) -> None:
    changes: list[Part] = [("POST", "accounts", {"name": "Lost"}), ("PATCH", "accounts(nonsense)", {"name": "x"})]
    body = _batch(changes, _single("POST", "accounts", {"name": "After"}))

    outer, inner, _ = _send(sales, body, Prefer="odata.continue-on-error")

    assert (outer, inner) == (200, [400, 204])
    assert "After" in _names(sales)
    assert "Lost" not in _names(sales)


def test_totals_are_right_after_a_change_set_of_lines(sales: World) -> None:
    quote = sales.quote()
    parent = bind("quoteid", "quotes", quote["quoteid"])
    plain = {name: value for name, value in sales.line("1").items() if name != "quantity"}
    changes: list[Part] = [("POST", "quotedetails", {**plain, **parent, "quantity": n}) for n in (1, 2, 3)]

    outer, _, _ = _send(sales, _batch(changes))

    assert outer == 200
    assert sales.again(quote)["totalamount"] == 600


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (_batch([("GET", "accounts", None)]), "cannot contain GET"),
        (_batch([("PATCH", "$7", {"name": "x"})]), "Content-ID Reference: '$7' does not exist in the batch context."),
        (_batch(_single("POST", "$batch")), "cannot contain other batch requests"),
        (_batch(*[_single("GET", "WhoAmI")] * 1001), "1000"),
        (b"nothing", "boundary"),
    ],
)
def test_batches_that_are_wrong_are_400(sales: World, body: bytes, text: str) -> None:
    if b"$batch HTTP" in body:
        body = body.replace(b"$batch HTTP", f"{ROOT}/$batch HTTP".encode())

    outer, _, answer = _send(sales, body)

    assert outer == 400
    assert text in answer
