"""The multipart form of a batch, both ways, with answers in the shapes Microsoft documents."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dynamics.core.batch import ChangeSet, MalformedBatch, Read, Write, format_batch, parse_batch

ROOT = "https://x.test/data/"


def test_a_batch_is_written_as_odata_wants_it() -> None:
    content_type, body = format_batch(
        [
            Read("CustomersV3(dataAreaId='usmf',CustomerAccount='US-001')"),
            ChangeSet(
                (
                    Write("POST", "SalesOrderHeadersV4", {"a": Decimal("1.10"), "t": "Ünï"}),
                    Write("PATCH", "$1", {"b": 1}, {"If-Match": "*"}),
                )
            ),
        ],
        ROOT,
    )
    text = body.decode()
    boundary = content_type.split('"')[1]
    assert content_type.startswith('multipart/mixed; boundary="batch_')
    assert text.startswith(
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    )
    assert f"GET {ROOT}CustomersV3(dataAreaId='usmf',CustomerAccount='US-001') HTTP/1.1\r\n" in text
    assert f"POST {ROOT}SalesOrderHeadersV4 HTTP/1.1\r\n" in text
    assert "Content-ID: 1\r\n" in text and "Content-ID: 2\r\n" in text
    assert "\r\nPATCH $1 HTTP/1.1\r\n" in text and "\r\nIf-Match: *\r\n" in text
    payload = '{"a":1.10,"t":"Ünï"}'
    assert f"Content-Length: {len(payload.encode())}\r\n\r\n{payload}\r\n--changeset_" in text
    assert text.endswith(f"--{boundary}--\r\n")
    assert "\n" not in text.replace("\r\n", "")


ANSWER = b"""--batchresponse_1
Content-Type: application/http
Content-Transfer-Encoding: binary

HTTP/1.1 200 OK
Content-Type: application/json; odata.metadata=minimal
OData-Version: 4.0

{"value":[{"a":1.10}]}
--batchresponse_1
Content-Type: multipart/mixed; boundary="changesetresponse_2"

--changesetresponse_2
Content-Type: application/http
Content-Transfer-Encoding: binary
Content-ID: 1

HTTP/1.1 204 No Content
OData-Version: 4.0
OData-EntityId: https://x.test/data/tasks(1)


--changesetresponse_2
Content-Type: application/http
Content-ID: 2

HTTP/1.1 201 Created

{"b":2}
--changesetresponse_2--
--batchresponse_1
Content-Type: application/http

HTTP/1.1 400 Bad Request
REQ_ID: 5ecd1cb3

{"error":{"code":"0x80044331","message":"too long"}}
--batchresponse_1--
""".replace(b"\n", b"\r\n")


def test_the_answers_come_back_in_order_with_their_parts() -> None:
    read, change_set, failed = parse_batch("multipart/mixed; boundary=batchresponse_1", ANSWER)
    assert [(p.status, p.body) for p in read] == [(200, b'{"value":[{"a":1.10}]}')]
    assert [(p.status, p.body) for p in change_set] == [(204, b""), (201, b'{"b":2}')]
    assert change_set[0].headers["odata-entityid"] == "https://x.test/data/tasks(1)"
    assert failed[0].status == 400 and failed[0].headers["req_id"] == "5ecd1cb3"


def test_a_preamble_before_the_first_boundary_is_skipped() -> None:
    assert len(parse_batch("multipart/mixed; boundary=batchresponse_1", b"ignored\r\n" + ANSWER)) == 3


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/mixed; boundary=batchresponse_1", ANSWER[: len(ANSWER) // 2]),
        ("multipart/mixed; boundary=batchresponse_1", b""),
        ("multipart/mixed; boundary=b", b"--b\r\nContent-Type: application/http\r\n\r\nnonsense\r\n--b--"),
        ("multipart/mixed; boundary=b", b"--b\r\nno empty line\r\n--b--"),
        ("multipart/mixed; boundary=b", b"--b\r\nnot a header\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\r\n--b--"),
    ],
)
def test_an_answer_that_is_cut_or_foreign_is_never_taken_for_success(content_type: str, body: bytes) -> None:
    with pytest.raises(MalformedBatch):
        parse_batch(content_type, body)
