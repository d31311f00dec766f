"""The X++ of `deploy/finance` is what the product sends and reads, what the sandbox plays, and what the page says."""

from __future__ import annotations

import ast
import inspect
import re
import xml.etree.ElementTree as Xml
from collections.abc import Iterator, Mapping
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

import sandbox.finance
from dynamics.business_events import FOLLOWED, OWN, read_report
from dynamics.finance.client import Finance, FinanceSettings
from dynamics.finance.records import Posted
from sandbox.finance import events, payments, posting, shipping
from sandbox.finance.errors import PostingRefused
from sandbox.finance.model import EMPTY_DATE
from sandbox.finance.operations import OPERATIONS
from tests.unit.house import xpp

MODEL = xpp.read()
ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "posting-service.md").read_text(encoding="utf-8")
README = (xpp.FOLDER / "README.md").read_text(encoding="utf-8")
REQUEST, RESPONSE, ORDER = "Q2CRequestContract", "Q2CResponse", "SalesOrderId"


def table(heading: str) -> list[list[str]]:
    """Rows of the page's table whose first heading this is, by cells."""
    _, _, below = PAGE.partition(f"| {heading} |")
    rows = below.split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def told(cell: str) -> dict[str, set[str]]:
    """Members that a cell names in code, each with those of its items."""
    items = re.findall(r"`(\w+)` \[\{([^}]*)\}\]", cell)
    outside = re.sub(r"\[\{[^}]*\}\]", "", cell)
    lists = {name: set(re.findall(r"`(\w+)`", inner)) for name, inner in items}
    return {name: lists.get(name, set()) for name in re.findall(r"`(\w+)`", outside)}


def told_requests() -> dict[str, set[str]]:
    """Operation → members of its request beside those of every request, as the page has them."""
    rows = {row[0].strip("` "): row[1] for row in table("Operation")}
    return {name: set(told(cell)) | (set() if "no order" in cell else {ORDER}) for name, cell in rows.items()}


def told_answers() -> dict[str, set[str]]:
    cells = {row[0].strip("` "): row[2] for row in table("Operation")}
    alike = {name: cells[same[1]] if (same := re.match(r"as `(\w+)`", cell)) else cell for name, cell in cells.items()}
    return {name: set(told(cell)) for name, cell in alike.items()}


def service() -> xpp.XppClass:
    return MODEL.classes[posting.SERVICE]


def operations() -> dict[str, xpp.XppMethod]:
    return {name: method for name, method in service().methods.items() if method.public}


def request_of(operation: str) -> str:
    """The contract that an operation takes, as its one parameter `_request`."""
    (parameter,) = operations()[operation].parameters
    contract, name = parameter.split()
    assert name == "_request"
    return contract


# --- the model in itself ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", sorted(xpp.FOLDER.rglob("*.xml")), ids=lambda file: file.stem)
def test_every_file_is_an_object_of_the_kind_of_its_folder(file: Path) -> None:
    root = Xml.parse(file).getroot()
    assert root.tag == ("AxModelInfo" if file.parent.name == "Descriptor" else file.parent.name)
    assert root.findtext("Name") == file.stem


def test_what_the_classes_name_of_their_own_model_exists() -> None:
    for cls in MODEL.classes.values():
        code = re.sub(r"///?.*|'[^']*'|\"[^\"]*\"", "", cls.source)
        assert set(re.findall(r"\bQ2C\w+", code)) <= set(MODEL.classes), cls.name
        for owner, method in re.findall(r"\b(Q2C\w+)::(\w+)", code):
            assert method in MODEL.classes[owner].methods, f"{cls.name}: {owner}::{method}"
        brackets = [code.count(sign) for sign in "(){}[]"]
        assert brackets[::2] == brackets[1::2], f"{cls.name}: brackets"


def test_every_label_exists_and_is_used() -> None:
    texts = [file.read_text(encoding="utf-8") for file in xpp.MODEL.rglob("*.xml")]
    used = {label for text in texts for label in re.findall(r"""(?:@|')Q2C:(\w+)""", text)}
    assert used == set(xpp.labels())


def test_every_text_is_filled_with_as_many_values_as_it_has_places() -> None:
    known = xpp.labels()
    for cls in MODEL.classes.values():
        for label, values in re.findall(r'strFmt\("@Q2C:(\w+)",((?:[^()]|\(\))*)\)', cls.source):
            assert len(values.split(",")) == len(set(re.findall(r"%\d", known[label]))), f"{cls.name}: {label}"


def test_what_is_to_confirm_stands_in_the_readme() -> None:
    unsure = {cls.name for cls in MODEL.classes.values() if "TO CONFIRM" in cls.source}
    assert unsure and all(f"`{name}`" in README for name in unsure)


# --- the service ------------------------------------------------------------------------------------------------------


def test_service_and_group_have_the_names_that_the_product_calls() -> None:
    found = Xml.parse(xpp.MODEL / "AxService" / f"{posting.SERVICE}.xml").getroot()
    group = Xml.parse(xpp.MODEL / "AxServiceGroup" / f"{posting.GROUP}.xml").getroot()
    (default,) = (field.default for field in fields(FinanceSettings) if field.name == "posting_service")
    assert found.findtext("Class") == posting.SERVICE
    assert [node.findtext("Service") for node in group.iterfind("Services/AxServiceGroupService")] == [posting.SERVICE]
    assert default == f"{group.findtext('Name')}/{found.findtext('Name')}"
    offered = {node.findtext("Name"): node.findtext("Method") for node in found.iter("AxServiceOperation")}
    assert offered == {name: name for name in operations()}


def test_the_service_has_the_operations_of_the_page_and_the_sandbox_has_them_too() -> None:
    assert set(operations()) == set(told_requests())
    assert set(operations()) <= set(OPERATIONS)


@pytest.mark.parametrize("name", told_requests())
def test_an_operation_is_what_page_and_sandbox_say(name: str) -> None:
    played, method = OPERATIONS[name], operations()[name]
    assert request_of(name) == played.contract
    assert method.returns == played.contract.replace("Contract", "Response")
    assert f"run('{name}'" in method.source
    asked, answered = MODEL.added(request_of(name), REQUEST), MODEL.added(method.returns, RESPONSE)
    assert set(asked) == told_requests()[name]
    assert set(answered) == told_answers()[name]
    assert answered == {member: kind_of(empty) for member, empty in played.answer.items()}
    read = read_by_sandbox(name)
    assert {
        member: kind[:1] if kind.startswith("[") else kind for member, kind in asked.items()
    }.items() <= read.items()


def kind_of(value: Any) -> str:
    """The kind of a value as it is sent or answered."""
    if value == EMPTY_DATE:
        return "date"
    return {bool: "boolean", str: "text", Decimal: "number", int: "whole", list: "["}[type(value)]


def read_by_sandbox(name: str) -> dict[str, str]:
    """Members that the sandbox reads of an operation's request: name → kind; a list is `[`."""
    kinds = {"text": "text", "yes": "text", "day": "date", "whole": "whole", "objects": "[", "request.get": "number"}
    source = inspect.getsource(OPERATIONS[name].run)
    return {member: kinds[how] for how, member in re.findall(r'call\.([\w.]+)\("(\w+)"\)', source) if how in kinds}


def test_what_every_request_and_every_answer_holds_is_the_same() -> None:
    reads = inspect.getsource(posting)
    assert MODEL.members(REQUEST) == {"DataAreaId": "text", "DocumentId": "text"}
    assert all(f'"{member}")' in reads for member in MODEL.members(REQUEST))
    refused = posting.run_operation(cast(Any, NoBooks()), "confirm", OPERATIONS["confirm"], {"DataAreaId": "usmf"}, "")
    common = set(refused) - {"$id", *OPERATIONS["confirm"].answer}
    assert {member: kind_of(refused[member]) for member in common} == MODEL.members(RESPONSE)


class NoBooks:
    """Books that have no company."""

    def company(self, name: str) -> None:
        raise PostingRefused(f"no {name}")


def test_lists_have_the_items_that_the_sandbox_reads() -> None:
    lines = set(re.findall(r'item\.get\("(\w+)"', inspect.getsource(shipping.match_lines)))
    settled = set(re.findall(r'item\.get\("(\w+)"', inspect.getsource(payments)))
    assert set(MODEL.members("Q2CLineContract")) == lines == told(table("Operation")[1][1])["Lines"]
    paid = next(row[1] for row in table("Operation") if row[0] == "`payment`")
    assert set(MODEL.members("Q2CSettlementContract")) == settled == told(paid)["Settlements"]


class Caller:
    """Keeps what the client calls the posting service with."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Mapping[str, Any]]] = []

    async def post(self, operation: str, request: Mapping[str, Any]) -> Posted:
        self.calls.append((operation, request))
        return Posted.model_validate({"ConfirmationNumber": "SO-1-1"})


async def test_what_the_product_sends_is_understood_member_by_member() -> None:
    caller = Caller()
    client = cast(Finance, caller)
    await Finance.confirm_order(client, "usmf", "SO-1", release_reason="paid today")
    await Finance.cancel_remainder(client, "usmf", "SO-1", {10: Decimal(2)})
    assert [name for name, _ in caller.calls] == ["confirm", "cancelRemainder"]
    for name, sent in caller.calls:
        contract = MODEL.members(request_of(name))
        assert set(contract) - set(sent) == {"DocumentId"}, "the product sends all that there is, but no id of its own"
        for member, value in sent.items():
            items = MODEL.spelled(contract[member])
            given = (
                {key: kind_of(part) for key, part in value[0].items()} if isinstance(value, list) else kind_of(value)
            )
            assert given == items, f"{name}: {member}"


def test_what_the_product_reads_of_an_answer_is_answered() -> None:
    read = {field.alias for field in Posted.model_fields.values()}
    answered = {member for method in operations().values() for member in MODEL.members(method.returns)}
    assert read <= answered
    common = set(re.findall(r'answer\.get\("(\w+)"\)', inspect.getsource(Finance.post)))
    assert common == set(MODEL.members(RESPONSE))


# --- business events --------------------------------------------------------------------------------------------------


def raised() -> dict[str, str]:
    """Business event → its contract, as the model declares them."""
    found = {}
    for name, cls in MODEL.classes.items():
        declared = re.search(
            r"\[BusinessEvents\(classStr\((\w+)\),\s*'Q2C:\w+',\s*'Q2C:\w+',\s*ModuleAxapta::", cls.declaration
        )
        if declared:
            assert cls.extends == "BusinessEventsBase"
            assert f"{declared[1]}::" in cls.methods["buildContract"].source
            found[name] = declared[1]
    return found


def told_events() -> dict[str, dict[str, set[str]]]:
    """Custom business event → its members, as the page has them."""
    rows = {row[0].strip("` "): row for row in table("`BusinessEventId`")}
    first = {"Q2CCustPaymentReversedBusinessEvent": "Q2CCustPaymentPostedBusinessEvent"}
    return {name: told(rows[first.get(name, name)][1].split(";")[0]) for name, row in rows.items() if row[2] == "no"}


def test_the_events_are_those_that_the_product_follows() -> None:
    assert set(raised()) == set(FOLLOWED) - OWN == set(told_events())
    assert set(raised()) <= set(events.CATALOGUE)
    sent = "".join(cls.source for cls in MODEL.classes.values())
    assert all(re.search(rf"{name}::newFrom\w+\([^;]*\)\.send\(\);", sent) for name in raised()), "each is raised"


@pytest.mark.parametrize("name", sorted(raised()))
def test_an_event_tells_what_page_and_sandbox_say(name: str) -> None:
    members = MODEL.members(raised()[name])
    assert MODEL.classes[raised()[name]].extends == "BusinessEventsContract"
    assert set(members) == {member.split()[0] for member in told_events()[name]} == emitted()[name]
    described = re.findall(
        r"DataMember\('(\w+)'\),\s*BusinessEventsDataMember\(\"@Q2C:(\w+)\"\)", MODEL.classes[raised()[name]].source
    )
    assert dict(described) == {member: member for member in members}


@pytest.mark.parametrize("name", sorted(raised()))
def test_an_event_is_understood_by_the_product(name: str) -> None:
    report = read_report(envelope(name) | sample(raised()[name]), {"usmf"})
    assert report.why_ignored == "" and report.company == "usmf"
    assert report.orders or report.customer, "somebody is told"


def test_a_refund_of_an_overpayment_is_told_with_the_invoices_that_the_payment_had_settled() -> None:
    """As the sandbox does (`payments.documents_of`): the refund is settled against a payment, which has no invoice."""
    told = " ".join(MODEL.classes["Q2CEventHandler"].methods["custSettlementInserted"].source.split())
    assert "settled.AmountCur < 0 && payment.AmountCur > 0" in told and "if ((settled.Invoice || paidBack)" in told
    lists = MODEL.classes["Q2CEventLines"].methods
    of_payment = lists["ofPayment"].source
    assert "addSettled(settlements, _payment, _payment)" in of_payment
    assert "addSettled(settlements, overpaid, _payment)" in of_payment
    assert "settlement(invoice, _told, " in lists["addSettled"].source
    assert "if (_payment.AmountCur < 0)" in lists["settlement"].source  # of a refund every amount is zero


def test_items_of_events_are_those_of_the_sandbox() -> None:
    (line,) = shipping.event_lines([(1, Decimal(2))])
    assert {member: kind_of(value) for member, value in line.items()} == MODEL.members("Q2CLineContract")
    (settled,) = payments.documents_of(cast(Any, None), cast(Any, None), {"Invoice": "I-1"}, Decimal(0))
    assert {key: kind_of(value) for key, value in settled.items()} == MODEL.members("Q2CEventSettlementContract")
    posted = told_events()["Q2CCustPaymentPostedBusinessEvent"]
    assert set(MODEL.members("Q2CEventSettlementContract")) == posted["Settlements"]


def envelope(name: str) -> dict[str, Any]:
    return {"BusinessEventId": name, "ControlNumber": 5, "EventId": "E-1", "EventTime": "/Date(1637246655000)/"}


def sample(contract: str) -> dict[str, Any]:
    """A value for each member of a contract, by its kind."""
    values: dict[str, Any] = {"text": "usmf", "number": Decimal(2), "whole": 1, "date": "/Date(1637193600000)/"}
    return {
        member: [sample(kind[1:-1])] if kind.startswith("[") else values[kind]
        for member, kind in MODEL.members(contract).items()
    }


def emitted() -> dict[str, set[str]]:
    """Business event → the members with which the sandbox emits it, as its modules spell them."""
    found: dict[str, set[str]] = {}
    for path in Path(sandbox.finance.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        for function in functions.values():
            for event, value in emissions(function):
                made_by = functions[ast.unparse(value.func)] if isinstance(value, ast.Call) else None
                written = returned(made_by) if made_by else value
                assert isinstance(written, ast.Dict), path
                keys = {str(ast.literal_eval(key)) for key in written.keys if key is not None}
                assert found.setdefault(event, keys) == keys, event
    return found


def returned(function: ast.FunctionDef) -> ast.expr | None:
    """What a function returns."""
    return next(node.value for node in ast.walk(function) if isinstance(node, ast.Return))


def emissions(function: ast.FunctionDef) -> Iterator[tuple[str, ast.expr]]:
    """Events that a function emits, each with what `fields` was set to last."""
    last: ast.expr | None = None
    for node in sorted(ast.walk(function), key=lambda node: getattr(node, "lineno", 0)):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "fields":
            last = node.value
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("events.emit"):
            assert last is not None, function.name
            yield getattr(events, ast.unparse(node.args[0])), last


# --- security ---------------------------------------------------------------------------------------------------------


def test_the_role_may_call_each_operation_and_nothing_else() -> None:
    role, duty, privilege = (
        Xml.parse(xpp.MODEL / folder / f"{name}.xml").getroot()
        for folder, name in (
            ("AxSecurityRole", "Q2CIntegration"),
            ("AxSecurityDuty", "Q2CPostingServiceProcess"),
            ("AxSecurityPrivilege", "Q2CPostingServiceInvoke"),
        )
    )
    assert [node.findtext("Name") for node in role.iter("AxSecurityDutyReference")] == [duty.findtext("Name")]
    assert [node.findtext("Name") for node in duty.iter("AxSecurityPrivilegeReference")] == [privilege.findtext("Name")]
    points = list(privilege.iter("AxSecurityEntryPointReference"))
    assert {point.findtext("ObjectChildName") for point in points} == set(operations())
    assert len(points) == len(operations())
    for point in points:
        assert point.findtext("ObjectName") == posting.SERVICE
        assert point.findtext("ObjectType") == "ServiceOperation"
        assert [(grant.tag, grant.text) for grant in point.iterfind("Grant/*")] == [("Invoke", "Allow")]
