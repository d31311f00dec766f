"""The policies' files: what is shipped, what an installation may replace, and what is refused with a remedy."""

from __future__ import annotations

import uuid
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from makers import POLICY

import policies
from domain.policy import Policy, PolicyError

PACKAGED = Path(policies.__file__).parent


def edited(folder: Path, name: str, old: str, new: str) -> Path:
    """A folder that replaces one file by the shipped one with an edit."""
    text = (PACKAGED / name).read_text(encoding="utf-8")
    assert old in text, f"{name} does not say {old!r} any more"
    (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    return folder


def test_the_shipped_matrix_is_the_one_the_scenarios_use():
    rules = {rule.id: rule for rule in POLICY.discount.rules}
    assert list(rules) == ["D1", "D2", "D3", "T1", "B1"]
    assert [(rule.chain, rule.level, rule.role) for rule in rules.values()] == [
        ("sales", 1, "sales_manager"),
        ("sales", 2, "sales_director"),
        ("sales", 3, "cfo"),
        ("legal", 1, "legal"),
        ("sales", 3, "cfo"),
    ]
    assert POLICY.discount.ladder("sales") == ("sales_manager", "sales_director", "cfo")
    assert POLICY.discount.sla_business_hours == {1: Decimal(8), 2: Decimal(16), 3: Decimal(24)}
    assert POLICY.discount.on_timeout == {1: "escalate", 2: "escalate", 3: "expire"}
    assert POLICY.discount.reminders_pct == (50, 80)
    assert POLICY.discount.max_age_days == 14


def test_people_are_known_by_their_entra_object_id():
    for key, person in POLICY.authority.people.items():
        assert person.upn == f"{key}@contoso.example"
        assert person.oid == str(uuid.uuid5(uuid.NAMESPACE_DNS, person.upn))
    assert [p.upn for p in POLICY.authority.holders("usmf", "sales_director")] == [
        "dirk@contoso.example",
        "dina@contoso.example",
        "drew@contoso.example",
    ]
    assert POLICY.authority.holders("demf", "sales_manager") == ()
    assert POLICY.authority.holders("none", "cfo") == ()


def test_a_business_unit_names_its_company_in_any_case():
    assert POLICY.entity_map.company_of("USMF") == "usmf"
    assert POLICY.entity_map.company_of(" usmf ") == "usmf"
    assert POLICY.entity_map.company_of("Sales department") is None


def test_credit_terms_are_those_of_the_narrowest_entry(tmp_path: Path):
    edited(tmp_path, "credit.yaml", "groups: {}", "groups: {'80': {threshold_pct: 95, overdue_days: 30}}")
    policy = policies.load(tmp_path)
    everyone = policy.credit_terms("usmf", "US-001").limits
    of_group = policy.credit_terms("usmf", "US-001", "80").limits
    of_customer = policy.credit_terms("usmf", "US-002", "80").limits
    elsewhere = policy.credit_terms("demf", "US-002").limits
    assert (everyone.threshold_pct, everyone.overdue_days) == (100, 60)
    assert (of_group.threshold_pct, of_group.overdue_days) == (95, 30)
    assert (of_customer.threshold_pct, of_customer.overdue_days) == (90, 30)
    assert (elsewhere.threshold_pct, elsewhere.overdue_days) == (100, 60)


def test_the_version_names_the_content():
    again = policies.load()
    assert again == POLICY
    assert POLICY.version == f"2026-11-01#3+{POLICY.hash[:8]}"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("discount.yaml", "than: 10}", "than: 11}"),
        ("approvers.yaml", "cfo: [cora]", "cfo: [cora, dirk]"),
        ("calendars.yaml", '"17:00"', '"18:00"'),
        ("entity_map.yaml", "1: Net 30", "1: Net 45"),
        ("tolerances.yaml", "usmf: 0", "usmf: 5"),
        ("credit.yaml", "overdue_days: 60", "overdue_days: 61"),
    ],
)
def test_any_change_changes_the_version(tmp_path: Path, name: str, old: str, new: str):
    changed = policies.load(edited(tmp_path, name, old, new))
    assert changed.hash != POLICY.hash
    assert changed.version != POLICY.version


def test_a_policy_survives_the_history():
    assert Policy.model_validate_json(POLICY.model_dump_json()) == POLICY


def test_an_older_release_reads_what_a_newer_one_wrote():
    newer = POLICY.model_dump(mode="json") | {"dunning": {"version": "2027-01-01#1"}}
    assert Policy.model_validate(newer) == POLICY


def test_fractions_are_exact(tmp_path: Path):
    policy = policies.load(edited(tmp_path, "discount.yaml", "than: 10}", "than: 10.1}"))
    assert policy.discount.rules[0].when[0].than == Decimal("10.1")


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        # Typing errors: the file and the field are named.
        ("discount.yaml", "closure:", "closing:", ["discount.yaml", "closing", "correct its name"]),
        ("discount.yaml", "chain: sales", "chains: sales", ["rules.0.chain: is missing", "rules.0.chains"]),
        ("calendars.yaml", "    opens:", "    open:", ["companies.usmf.opens: is missing", "companies.usmf.open:"]),
        ("approvers.yaml", "upn: mona", "mail: mona", ["people.mona.mail", "correct its name"]),
        ("tolerances.yaml", "line_units", "line_unit", ["money.line_unit"]),
        ("discount.yaml", "version:", "\tversion:", ["discount.yaml", "not valid YAML"]),
        ("approvers.yaml", "  jpmf: {}", "  demf: {}", ["approvers.yaml", "'demf' is written twice"]),
        # Rules that make no sense.
        ("discount.yaml", 'op: ">", than: 10', "than: 10", ["rules.0.when.0", "needs op"]),
        ("discount.yaml", 'op: ">", than: 10', 'op: ">"', ["rules.0.when.0", "and than"]),
        ("discount.yaml", 'op: ">", than: 10', 'op: "=>", than: 10', ["rules.0.when.0.op"]),
        ("discount.yaml", "than: 10}", "than: {USD: 10}}", ["an amount per currency for net"]),
        ("discount.yaml", "{USD: 250000", "{US: 250000", ["ISO 4217"]),
        ("discount.yaml", "{value: below_floor}", "{value: below_floor, than: 1}", ["leave out op and than"]),
        ("discount.yaml", "value: disc_pct", "value: discount", ["rules.0.when.0.value"]),
        ("discount.yaml", "id: D2", "id: D1", ["ids must differ"]),
        ("discount.yaml", "level: 2", "level: 4", ["every level from 1 to 4"]),
        ("discount.yaml", "role: cfo", "role: ceo", ["level 3 of chain 'sales' has two roles, ceo and cfo"]),
        ("discount.yaml", "{1: 8, 2: 16, 3: 24}", "{1: 8, 3: 24}", ["sla_business_hours: add a value for level 2"]),
        ("discount.yaml", "{1: 8, 2: 16, 3: 24}", "{1: 0, 2: 16, 3: 24}", ["must be above 0"]),
        ("discount.yaml", "[50, 80]", "[80, 50]", ["reminders_pct", "rising"]),
        # Nothing is approved by a timeout, and nobody decides their own request, whatever a file says.
        ("discount.yaml", "3: expire", "3: approve", ["on_timeout.3"]),
        ("discount.yaml", "requester_may_approve: false", "requester_may_approve: true", ["requester_may_approve"]),
        ("discount.yaml", "co_owner_may_approve: false", "co_owner_may_approve: true", ["co_owner_may_approve"]),
        ("approvers.yaml", "cfo: [cora]", "cfo: [coro]", ["companies.usmf.cfo: not under people: coro"]),
        ("approvers.yaml", "cfo: [cora]", "cfo: [cora, cora]", ["names a person twice"]),
        ("approvers.yaml", "df154f77-9dd9-502a-b646-ab0dcd8ab0ca", "800654ED-E59A-5376-A645-838605947A61", ["oid"]),
        ("approvers.yaml", "  kwmf: {}\n", "", ["approvers.yaml", "add kwmf"]),
        ("calendars.yaml", "America/New_York", "New York", ["companies.usmf.timezone", "IANA"]),
        ("calendars.yaml", '"09:00"', '"18:00"', ["opens: must be before closes"]),
        ("calendars.yaml", '"09:00"', '"9:00"', ["companies.usmf.opens", "HH:MM"]),
        ("calendars.yaml", '"17:00"', '"17:60"', ["companies.usmf.closes", "HH:MM"]),
        ("calendars.yaml", "[0, 1, 2, 3, 4]", "[1, 2, 3, 4, 7]", ["companies.usmf.workdays"]),
        ("calendars.yaml", '"2026-11-26"', '"26.11.2026"', ["companies.usmf.holidays", "26.11.2026"]),
        ("credit.yaml", "  threshold_pct: 100 ", "  # ", ["default.threshold_pct"]),
        ("credit.yaml", "threshold_pct: 90", "threshold_pct: 110", ["customers.usmf.US-002.threshold_pct"]),
        ("credit.yaml", "freshness_seconds: 60", "freshness_seconds: 3600", ["freshness_seconds"]),
        ("credit.yaml", ", kwmf: 0}", "}", ["credit.yaml: tax_rate_pct: add kwmf"]),
        ("entity_map.yaml", "USMF: usmf", "USMF: USMF", ["business_units.USMF", "lower case"]),
        ("entity_map.yaml", "usmf: manual", "usmf: guess", ["order_numbers.usmf"]),
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_refused_with_its_field(
    tmp_path: Path, name: str, old: str, new: str, says: list[str]
):
    with pytest.raises(PolicyError) as refused:
        policies.load(edited(tmp_path, name, old, new))
    for text in says:
        assert text in str(refused.value)
    assert name in str(refused.value)


def test_a_folder_that_is_not_there_and_a_file_that_cannot_be_read_are_refused(tmp_path: Path):
    with pytest.raises(PolicyError, match="not a folder"):
        policies.load(tmp_path / "nowhere")
    (tmp_path / "credit.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(PolicyError, match="cannot be read"):
        policies.load(tmp_path)


def test_times_without_quotes_stay_times(tmp_path: Path):
    policy = policies.load(edited(tmp_path, "calendars.yaml", '"09:00"', "09:00"))
    assert policy.calendar("usmf").opens == "09:00"


def test_a_date_without_quotes_stays_a_date(tmp_path: Path):
    policy = policies.load(edited(tmp_path, "calendars.yaml", '["2026-11-26"', "[2026-11-26"))
    assert "2026-11-26" in policy.calendar("usmf").holidays


def test_a_company_without_a_calendar_is_a_policy_error():
    with pytest.raises(PolicyError, match=r"calendars\.yaml: company 'frmf'"):
        POLICY.calendar("frmf")


def test_the_explanation_says_every_rule_person_and_number(tmp_path: Path):
    edited(tmp_path, "discount.yaml", "reminders_pct: [50, 80]", "reminders_pct: [40]")
    edited(
        tmp_path,
        "credit.yaml",
        "groups: {}",
        "groups: {'80': {overdue_amount: 1000, overdue_amount_threshold_pct: 50, single_order: 5000}}",
    )
    text = policies.explain(policies.load(tmp_path))
    for expected in (
        "D2: discount > 20 % or margin < 25 %",
        "net >= 250,000 USD",
        "asks cfo (chain sales, level 3), who must comment",
        "Level 1: 8 business hours, then the next holder is asked.",
        "Level 3: 24 business hours, then the request expires.",
        "Reminders at 40 %",
        "Customer US-002 of usmf: exposure above 90 % of the limit",
        "Customer group 80: more than 1,000 overdue while exposure is above 50 % of the limit",
        "a single order above 5,000",
        "sales_director: Dirk Dorn (dirk), Dina Diaz (dina), Drew Doyle (drew)",
        "usmf: Mon, Tue, Wed, Thu, Fri 09:00-17:00 America/New_York",
        "closed on 2026-11-26",
        "USMF → usmf",
    ):
        assert expected in text


def test_every_file_is_in_the_package():
    assert {file.name for file in PACKAGED.glob("*.yaml")} == set(policies.FILES)
    for name in policies.FILES:
        assert "version" in yaml.safe_load((PACKAGED / name).read_text(encoding="utf-8"))
