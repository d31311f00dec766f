"""The policies' files: what is shipped, what an installation may replace, and what is refused with a remedy."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import policies
from domain.policy import Policy, PolicyError
from tests.unit.domain.makers import POLICY

PACKAGED = Path(policies.__file__).parent


def edited(folder: Path, name: str, old: str, new: str) -> Path:
    """A folder that replaces one file by the shipped one with an edit."""
    text = (PACKAGED / name).read_text(encoding="utf-8")
    assert old in text, f"{name} does not say {old!r} any more"
    (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    return folder


def test_the_shipped_matrix_is_the_one_the_scenarios_use() -> None:
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
    assert POLICY.discount.max_age_days == 14


def test_people_are_known_by_their_entra_object_id() -> None:
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


def test_a_business_unit_names_its_company_in_any_case() -> None:
    assert POLICY.entity_map.company_of("USMF") == "usmf"
    assert POLICY.entity_map.company_of(" usmf ") == "usmf"
    assert POLICY.entity_map.company_of("Sales department") is None


def test_credit_terms_are_those_of_the_narrowest_entry(tmp_path: Path) -> None:
    edited(tmp_path, "credit.yaml", "groups: {}", "groups: {'80': {threshold_pct: 95, overdue_days: 30}}")
    policy = policies.load(tmp_path)
    everyone = policy.credit_terms("usmf", "US-001").limits
    of_group = policy.credit_terms("usmf", "US-001", "80").limits
    of_customer = policy.credit_terms("usmf", "US-002", "80").limits
    elsewhere = policy.credit_terms("demf", "US-002").limits
    assert (everyone.threshold_pct, everyone.overdue_days) == (Decimal(100), 60)
    assert (of_group.threshold_pct, of_group.overdue_days) == (Decimal(95), 30)
    assert (of_customer.threshold_pct, of_customer.overdue_days) == (Decimal(90), 30)
    assert (elsewhere.threshold_pct, elsewhere.overdue_days) == (Decimal(100), 60)


def test_the_version_names_the_content() -> None:
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
        ("deposits.yaml", "companies: {}", "companies: {usmf: [{id: a, percent: 30}]}"),
    ],
)
def test_any_change_changes_the_version(tmp_path: Path, name: str, old: str, new: str) -> None:
    changed = policies.load(edited(tmp_path, name, old, new))
    assert changed.hash != POLICY.hash
    assert changed.version != POLICY.version


def test_a_policy_survives_the_history() -> None:
    assert Policy.model_validate_json(POLICY.model_dump_json()) == POLICY


def test_an_older_release_reads_what_a_newer_one_wrote() -> None:
    newer = POLICY.model_dump(mode="json") | {"dunning": {"version": "2027-01-01#1"}}
    assert Policy.model_validate(newer) == POLICY


def test_fractions_are_exact(tmp_path: Path) -> None:
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
        ("deposits.yaml", "companies: {}", "companies: {frmf: [{id: a, percent: 30}]}",
         ["companies.frmf: entity_map.yaml maps no business unit"]),
        ("deposits.yaml", "companies: {}", "companies: {usmf: [{id: a}]}", ["usmf.0: percent, amount: say one"]),
        ("deposits.yaml", "companies: {}", "companies: {usmf: [{id: a, percent: 130}]}", ["usmf.0.percent"]),
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
        ("discount.yaml", "max_age_days", "quorum: {sale: {1: all}}\nmax_age_days", ["quorum.sale: no rule has this"]),
        ("discount.yaml", "max_age_days", "quorum: {legal: {2: all}}\nmax_age_days", ["quorum.legal.2", "levels 1"]),
        ("discount.yaml", "max_age_days", "quorum: {legal: {1: most}}\nmax_age_days", ["quorum.legal.1"]),
        ("discount.yaml", "max_age_days", "quorum: {sales: {1: {need: 3, of: 2}}}\nmax_age_days", ["of: must be at l"]),
        ("discount.yaml", "max_age_days", "quorum: {sales: {1: {need: 0, of: 2}}}\nmax_age_days", ["quorum.sales.1"]),
        ("discount.yaml", "max_age_days", "quorum: {legal: {1: {need: 2, of: 2}}}\nmax_age_days",
         ["rule T1", "legal: 1 of 2 needed in usmf", "ask for fewer in quorum.legal.1"]),
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
        ("calendars.yaml", "country: US", "country: US\n    closed: [26.11.2026]", ["usmf.closed.0", "26.11"]),
        ("calendars.yaml", "country: US", "country: US\n    open: [20261126]", ["companies.usmf.open.0", "not a date"]),
        ("calendars.yaml", "country: US", "country: USA", ["companies.usmf.country", "two capital letters", "e.g. US"]),
        ("calendars.yaml", "country: US", "country: us", ["companies.usmf.country", "two capital letters"]),
        ("calendars.yaml", "country: US", "country: XX", ["companies.usmf.country", "'XX'", "under closed"]),
        ("calendars.yaml", "country: DE", "country: DE\n    subdivision: XY", ["companies.demf.subdivision", "BY"]),
        ("calendars.yaml", "country: DE", "subdivision: BY", ["companies.demf", "subdivision", "name its country"]),
        ("credit.yaml", "  threshold_pct: 100 ", "  # ", ["default.threshold_pct"]),
        ("credit.yaml", "threshold_pct: 90", "threshold_pct: 110", ["customers.usmf.US-002.threshold_pct"]),
        ("credit.yaml", "freshness_seconds: 60", "freshness_seconds: 3600", ["freshness_seconds"]),
        ("credit.yaml", ", kwmf: 0}", "}", ["credit.yaml: tax_rate_pct: add kwmf"]),
        ("entity_map.yaml", "USMF: usmf", "USMF: USMF", ["business_units.USMF", "lower case"]),
        ("entity_map.yaml", "usmf: automatic", "usmf: guess", ["order_numbers.usmf"]),
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_refused_with_its_field(
    tmp_path: Path, name: str, old: str, new: str, says: list[str]
) -> None:
    with pytest.raises(PolicyError) as refused:
        policies.load(edited(tmp_path, name, old, new))
    for text in says:
        assert text in str(refused.value)
    assert name in str(refused.value)


def test_a_folder_that_is_not_there_and_a_file_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="not a folder"):
        policies.load(tmp_path / "nowhere")
    (tmp_path / "credit.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(PolicyError, match="cannot be read"):
        policies.load(tmp_path)


def test_times_without_quotes_stay_times(tmp_path: Path) -> None:
    policy = policies.load(edited(tmp_path, "calendars.yaml", '"09:00"', "09:00"))
    assert policy.calendar("usmf").opens == "09:00"


def test_a_date_is_a_date_with_quotes_and_without(tmp_path: Path) -> None:
    edited(tmp_path, "calendars.yaml", "country: US", 'country: US\n    closed: [2026-12-24, "2026-12-31"]')
    assert policies.load(tmp_path).calendar("usmf").closed == (date(2026, 12, 24), date(2026, 12, 31))


def test_a_company_without_a_calendar_is_a_policy_error() -> None:
    with pytest.raises(PolicyError, match=r"calendars\.yaml: company 'frmf'"):
        POLICY.calendar("frmf")


def test_public_holidays_never_end_and_a_company_adds_and_takes_back_days(tmp_path: Path) -> None:
    edited(
        tmp_path,
        "calendars.yaml",
        "country: US",
        "country: US\n    closed: [2026-12-24]\n    open: [2026-12-25, 2039-11-24]",
    )
    policy = policies.load(tmp_path)
    near = policies.business_hours(policy, "usmf", date(2026, 11, 23)).holidays
    assert near[:3] == ("2026-11-26", "2026-12-24", "2027-01-01")
    assert "2026-12-25" not in near
    far = policies.business_hours(policy, "usmf", date(2039, 11, 21)).holidays
    assert far[0] == "2039-12-26", "Christmas Day is a Sunday: Monday is free; Thanksgiving was taken back"
    assert "2039-11-24" not in far


def test_holidays_of_a_part_of_the_country_count_where_the_company_is(tmp_path: Path) -> None:
    edited(tmp_path, "calendars.yaml", "country: DE", "country: DE\n    subdivision: BY")
    assert "2027-01-06" in policies.business_hours(policies.load(tmp_path), "demf", date(2026, 12, 30)).holidays
    assert "2027-01-06" not in policies.business_hours(POLICY, "demf", date(2026, 12, 30)).holidays


@pytest.mark.parametrize("asked_on", [date(2026, 1, 1), date(2026, 12, 30), date(2060, 6, 1)])
@pytest.mark.parametrize("company", ["usmf", "demf", "jpmf", "kwmf"])
def test_the_pinned_days_cover_every_deadline_of_a_request(company: str, asked_on: date) -> None:
    pinned = policies.business_hours(POLICY, company, asked_on)
    expires = asked_on + timedelta(days=POLICY.discount.max_age_days)
    days = [date.fromisoformat(day) for day in pinned.holidays]
    assert days == sorted(set(days))
    assert days[0] >= asked_on
    assert {day.year for day in days} >= {expires.year, expires.year + 1}
    assert all(day.weekday() in pinned.workdays for day in days), "a free Sunday takes no working time"
    assert len(pinned.model_dump_json()) < 1_000, "it travels in the payload of every request"


def test_the_explanation_says_every_rule_person_and_number(tmp_path: Path) -> None:
    edited(
        tmp_path,
        "credit.yaml",
        "groups: {}",
        "groups: {'80': {overdue_amount: 1000, overdue_amount_threshold_pct: 50, single_order: 5000}}",
    )
    policy = policies.load(tmp_path)
    text = policies.as_text(policy, date(2026, 11, 23))
    for expected in (
        "D2: discount > 20 % or margin < 25 %",
        "net >= 250,000 USD",
        "asks cfo (chain sales, level 3), who must comment",
        "Level 1: 8 business hours, then the next holder is asked; where there is none, the request expires.",
        "Level 3: 24 business hours, then the request expires.",
        "Customer US-002 of usmf: exposure above 90 % of the limit",
        "Customer group 80: more than 1,000 overdue while exposure is above 50 % of the limit",
        "a single order above 5,000",
        "A release holds 5 days and for up to 10 % more, unless the credit manager says otherwise",
        "sales_director: Dirk Dorn (dirk), Dina Diaz (dina), Drew Doyle (drew)",
        "usmf: Mon, Tue, Wed, Thu, Fri 09:00-17:00 America/New_York; free on public holidays of US",
        "days off in the year to come: 2026-11-26, 2026-12-25, 2027-01-01",
        "USMF → usmf",
    ):
        assert expected in " ".join(text.split())
    assert max(map(len, text.splitlines())) < 80


def test_the_explanation_as_data_has_the_same_sentences_and_the_rules() -> None:
    data = policies.as_data(POLICY, date(2026, 11, 23))
    assert (data["version"], data["hash"]) == (POLICY.version, POLICY.hash)
    text = " ".join(policies.as_text(POLICY, date(2026, 11, 23)).split())
    for section in data["sections"]:
        assert section["file"] in policies.FILES
        assert all(" ".join(sentence.split()) in text for sentence in section["says"])
    rules = json.loads(json.dumps(data["policy"]))["discount"]["rules"]
    assert [rule["id"] for rule in rules] == ["D1", "D2", "D3", "T1", "B1"]


def test_a_misspelled_file_is_refused_instead_of_leaving_the_default_in_force(tmp_path: Path) -> None:
    (tmp_path / "discounts.yaml").write_text("version: x")
    with pytest.raises(PolicyError, match=r"discounts\.yaml: not a policy; the files are discount\.yaml"):
        policies.load(tmp_path)


@pytest.mark.parametrize("make", [lambda file: file.mkdir(), lambda file: file.symlink_to("nowhere")])
def test_a_name_that_is_no_file_is_refused_instead_of_leaving_the_default_in_force(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "discount.yaml")
    with pytest.raises(PolicyError, match=r"discount\.yaml: cannot be read"):
        policies.load(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "5",
        "version: &a [*a]",
        "a: &a [x, x]\nb: [*a, *a]",
        "? [1]\n: 2",
        "? {a: 1}\n: 2",
        "version: " + "9" * 5_000,
        "rules: " + "[" * 500 + "]" * 500,
        "version: !!python/object:os.system x",
        "version: !!binary x",
        "version: !!set {a}",
        "<<: {version: a}",
        "version: .nan\nno: no",
        "--- a\n--- b",
        "version: \0",
    ],
)
@pytest.mark.parametrize("name", policies.FILES)
def test_nothing_that_can_stand_in_a_file_is_a_traceback(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(PolicyError, match=name):
        policies.load(tmp_path)


@given(data=st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_damaged_file_is_a_policy_or_a_policy_error(tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(policies.FILES))
    text = (PACKAGED / name).read_text(encoding="utf-8")
    at = data.draw(st.integers(0, len(text)))
    until = data.draw(st.integers(at, min(len(text), at + 12)))
    (tmp_path / name).write_text(text[:at] + data.draw(st.text(max_size=6)) + text[until:], encoding="utf-8")
    try:
        policies.load(tmp_path)
    except PolicyError as error:
        assert name in str(error) or "entity_map.yaml maps" in str(error)
        assert "[type=" not in str(error) and "function-" not in str(error), "the library's own words"
    finally:
        (tmp_path / name).unlink()


def test_a_field_that_takes_a_number_or_a_table_is_named_as_it_is_written(tmp_path: Path) -> None:
    edited(tmp_path, "discount.yaml", "than: 10}", "than: [1]}")
    with pytest.raises(PolicyError) as refused:
        policies.load(tmp_path)
    assert str(refused.value).count("\n") == 0
    assert "rules.0.when.0.than: must be a number, or must be a mapping of names to values" in str(refused.value)


def test_every_file_is_in_the_package() -> None:
    assert {file.name for file in PACKAGED.glob("*.yaml")} == set(policies.FILES)
    for name in policies.FILES:
        assert "version" in yaml.safe_load((PACKAGED / name).read_text(encoding="utf-8"))
