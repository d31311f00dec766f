"""What was asked of Dynamics and what it answered, as far as a person may read it who mends a step.

What is shown is what is listed here: method and path, the values of columns and options that hold numbers, codes,
quantities, amounts and days, and the words in which a system says why it refused. Names, addresses, free text and what
nobody thought of are replaced by their length. No header is ever shown, so no token or key can be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from dynamics.core import exact_json
from dynamics.core.batch import BatchItem, Read

MOST_BYTES: Final = 2_000
"""Of each of the two: they travel in a failure's details and stay in the deal while it is parked."""
MOST_ENTRIES: Final = 40
"""Rows and columns of one body that are shown; of more their number is said."""
_DEEPEST: Final = 6
_LONGEST: Final = 8_000
"""Characters of one text that are looked through; nothing of what is longer is kept anyway."""

SHOWN: Final = frozenset(
    """
    dataareaid salesordernumber salesid orderingcustomeraccountnumber invoicecustomeraccountnumber customeraccount
    customeraccountnumber custaccount invoiceaccount orderaccount accountnum currencycode salescurrencycode
    arepricesincludingsalestax customerrequisitionnumber paymenttermsname paymentterms cashdiscountcode
    requestedreceiptdate isdeliveryaddressorderspecific deliveryaddresscountryregionid itemnumber itemid
    orderedsalesquantity salesunitsymbol salesprice salespricequantity linediscountamount linediscountpercentage
    fixedpricecharges customerslinenumber inventorylotid linecreationsequencenumber linenumber salestaxgroup
    salesorderstatus salesorderprocessingstatus onholdstatus customergroupid creditlimit journalbatchnumber journalname
    invoiceid invoicenumber packingslipid confirmationnumber debitamount transdate company legalentityid
    salesorderid lines quantity lotid success releasefromcredithold entitytype
    statecode statuscode status quoteid quotenumber revisionnumber salesorderdetailid salesorderid ordernumber
    invoicedetailid invoicenumber opportunityid productid uomid transactioncurrencyid pricelevelid lineitemnumber
    sequencenumber priceperunit baseamount extendedamount discountamount discountpercentage manualdiscountamount
    totalamount totaltax totalamountlessfreight freightamount datedelivered duedate actualrevenue quantityshipped
    isocurrencycode accountnumber paymenttermscode closedon actualend
    q2c_approvalstatus q2c_creditstatus q2c_stage q2c_fulfilmentstatus q2c_paymentstatus q2c_openamount
    q2c_financeordernumber q2c_financeinvoicenumber q2c_waitingsince q2c_caseid
    error code message innererror type target errormessage infolog value
    """.split()
)
"""Columns, parameters and parts of an error whose values are shown, in lower case."""
_OF_ERRORS: Final = frozenset({"message", "errormessage", "infolog", "target", "type", "code"})
"""Parts of an answer that hold a sentence of the system's."""
_OPTIONS: Final = frozenset({"$select", "$expand", "$orderby", "$top", "$skip", "$count", "$filter", "cross-company"})
"""Options of a query of which nothing but the quoted values is hidden."""
_BOUND: Final = "@odata.bind"

# Each begins where nothing before it could have, and takes what it takes once: a hostile answer costs no more to read.
_SECRETS: Final = (
    re.compile(r"(?<![\w-])ey[\w-]{6,}+\.[\w-]{4,}+(?:\.[\w-]*+)?"),  # a token
    re.compile(r"(?i)\b(?:bearer|basic|sharedaccesssignature)\s{1,5}[\w.~+/=&%-]{8,}+"),
    re.compile(
        r"(?i)(?:password|passwd|pwd|secret|api[-_]?key|accesskey|token|sig|signature|assertion|authorization|cookie|"
        r"credential)[\w-]{0,30}[\"']?\s{0,5}[=:]\s{0,5}(?:\"[^\"]*+\"?|'[^']*+'?|[^\s&;,\"'}]++)"
    ),
    re.compile(r"-----BEGIN [A-Z ]{1,60}-----.*?(?:-----END [A-Z ]{1,60}-----|$)", re.DOTALL),
    re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{40,}+={0,2}(?![\w-])"),  # a key as base64
)
_MAIL: Final = re.compile(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+")
_REMOVED: Final = "[removed]"


def without_secrets(text: str) -> str:
    """A sentence of a system without what looks like a token, a password or a key."""
    text = text[:_LONGEST]
    for secret in _SECRETS:
        text = secret.sub(_REMOVED, text)
    return text


def request_shown(method: str, url: str, body: bytes | None) -> str:
    """A request as a person may read it: method, path with the values that are shown, and its body."""
    lines = [f"{method} {_path_shown(url)}"]
    if body and b"HTTP/1.1" in body:
        lines += [_within_batch(line) for line in re.findall(rb"^(\w+ \S+) HTTP/1\.1", body, re.MULTILINE)]
    elif body:
        lines.append(_body_shown(body))
    return _cut("\n".join(lines))


def part_shown(item: BatchItem, n: int) -> str:
    """One request of a batch as a person may read it. A change set that is undone is answered once for all of it."""
    if isinstance(item, Read):
        return request_shown("GET", item.path, None)
    asked, more = item.writes[min(n, len(item.writes) - 1)], len(item.writes) - 1
    shown = request_shown(asked.method, asked.path, None if asked.body is None else exact_json.dumps(asked.body))
    return _cut(f"{shown}\n(one of {more + 1} that go together)") if more else shown


def no_answer(why: str) -> str:
    """That there was no answer, and why."""
    return _cut(f"no answer: {_sentence(why)}")


def answer_shown(status: int, body: bytes) -> str:
    """An answer as a person may read it: its status and body."""
    return _cut(f"HTTP {status}\n{_body_shown(body)}" if body.strip() else f"HTTP {status}")


def _within_batch(line: bytes) -> str:
    method, _, url = line.decode(errors="replace").partition(" ")
    return f"  {method} {_path_shown(url)}"


def _path_shown(url: str) -> str:
    parts = urlsplit(url)
    options = (_option_shown(option) for option in parts.query.split("&") if option)
    path = _literals_shown(unquote(parts.path))
    return f"{path}?{'&'.join(options)}" if parts.query else path


def _option_shown(option: str) -> str:
    name, _, value = unquote(option).partition("=")
    if name.lower() in _OPTIONS:
        return f"{name}={_literals_shown(value)}"
    return f"{name[:40]}={_length(value)}"


_LITERAL: Final = re.compile(r"(?:(?P<name>\w+)(?P<by>\s*=\s*|\s+(?:eq|ne|gt|ge|lt|le)\s+))?'(?P<value>(?:[^']|'')*)'")


def _literals_shown(text: str) -> str:
    """A path or filter with those of its quoted values that are compared with columns that are shown."""

    def shown(found: re.Match[str]) -> str:
        name, by, value = found["name"] or "", found["by"] or "", found["value"]
        if name.lower() in SHOWN:
            return f"{name}{by}'{_plain(value)}'"
        return f"{name}{by}{_length(value)}"

    return without_secrets(_LITERAL.sub(shown, text))


def _body_shown(body: bytes) -> str:
    try:
        said = exact_json.loads(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"({len(body)} bytes that are no JSON)"
    return msgspec.json.format(exact_json.dumps(_shown(said, "", _DEEPEST)), indent=1).decode()


def _shown(value: Any, name: str, deep: int) -> Any:
    """A value of JSON as it is shown under its name."""
    if isinstance(value, Mapping) and deep:
        entries = list(value.items())
        found = {_plain(str(key)): _shown(inner, str(key), deep - 1) for key, inner in entries[:MOST_ENTRIES]}
        return found | ({"…": f"{len(entries) - MOST_ENTRIES} more"} if len(entries) > MOST_ENTRIES else {})
    if isinstance(value, list) and deep:
        rows = [_shown(inner, name, deep - 1) for inner in value[:MOST_ENTRIES]]
        return rows + ([f"{len(value) - MOST_ENTRIES} more"] if len(value) > MOST_ENTRIES else [])
    if value is None or isinstance(value, bool):
        return value
    if name.removeprefix("_").removesuffix("_value").lower() not in SHOWN and not name.endswith(_BOUND):
        return _length(str(value))
    if not isinstance(value, str):
        return value if isinstance(value, int | Decimal) else _length(str(value))
    if name.endswith(_BOUND):
        return _literals_shown(value)[:200]
    return _sentence(value) if name.lower() in _OF_ERRORS else _plain(value)


def _sentence(text: str) -> str:
    return _MAIL.sub(_REMOVED, without_secrets(text))[:1_000]


def _plain(text: str) -> str:
    """A code or number: short, and nothing that looks like a secret or an address."""
    return _MAIL.sub(_REMOVED, without_secrets(text))[:100]


def _length(text: str) -> str:
    return f"({len(text)} characters)"


def _cut(text: str) -> str:
    raw = text.encode()
    return text if len(raw) <= MOST_BYTES else raw[: MOST_BYTES - 3].decode(errors="ignore") + "…"
