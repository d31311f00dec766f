"""Customers that never were: as many as one likes, on both sides, with what goes wrong in real data planted among them.

Everything follows from the seed. Customers that have nothing planted are told apart by their name, tax number, mail
address and phone number, so that whoever looks for duplicates or differences can be judged by the truth that is written
beside the rows.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

AGREES: Final = "agrees"
RATES: Final[Mapping[str, float]] = {
    "only_in_finance": 0.005,
    "only_in_sales": 0.005,
    "different": 0.02,
    "conflict": 0.005,
    "rounding": 0.005,
    "formatted": 0.01,
    "same_tax_number": 0.005,
    "near_name": 0.005,
    "sales_twin": 0.003,
    "other_company": 0.01,
    "unmapped_company": 0.003,
}
"""What can be planted -> the share of records that have it, unless another is asked for.

- `only_in_finance`, `only_in_sales`: the other side has no such record; in Sales half of them have an account number.
- `different`: one field differs. `conflict`: one field was changed on both sides, lately, from a value that was agreed.
- `rounding`: the credit limits differ by less than half a cent. `formatted`: the phone number is written otherwise.
- `same_tax_number`: a second customer, on both sides, with the tax number of another and another name.
- `near_name`: a second customer, on both sides, at the address of another, its name mistyped.
- `sales_twin`: a second account, in Sales alone and without a number, of a customer that has one.
- `other_company`: a customer of one more company, the same in name and tax number: no error, but one party.
- `unmapped_company`: a customer of a legal entity Sales has no business unit for, or an account of a business unit that
  is no company.
"""

FIELDS: Final[Mapping[str, tuple[str, str]]] = {
    "name": ("OrganizationName", "name"),
    "phone": ("PrimaryContactPhone", "telephone1"),
    "email": ("PrimaryContactEmail", "emailaddress1"),
    "street": ("AddressStreet", "address1_line1"),
    "city": ("AddressCity", "address1_city"),
    "postal_code": ("AddressZipCode", "address1_postalcode"),
    "state": ("AddressState", "address1_stateorprovince"),
    "tax_number": ("TaxExemptNumber", "msdyn_taxexemptnumber"),
    "credit_limit": ("CreditLimit", "creditlimit"),
}
"""What may differ -> the column in Finance and the one in Sales."""

UNMAPPED: Final = "frmf"
OUTLET: Final = "outlet"


@dataclass(frozen=True, slots=True)
class Region:
    """Where customers of a company live: currency, countries as either side writes them, cities, dialling code."""

    company: str
    prefix: str
    currency: str
    country: str
    country_name: str
    tax_prefix: str
    dial: str
    cities: tuple[tuple[str, str], ...]
    share: float


REGIONS: Final = (
    Region(
        "demf", "DE", "EUR", "DEU", "Germany", "DE", "49", (("Berlin", "BE"), ("Hamburg", "HH"), ("Köln", "NW")), 0.3
    ),
    Region("frmf", "FR", "EUR", "FRA", "France", "FR", "33", (("Lyon", "ARA"), ("Nantes", "PDL")), 0.0),
    Region("jpmf", "JP", "JPY", "JPN", "Japan", "JP", "81", (("東京", "13"), ("大阪", "27")), 0.1),
    Region("kwmf", "KW", "KWD", "KWT", "Kuwait", "KW", "965", (("Kuwait City", "KU"), ("Hawalli", "HA")), 0.05),
    Region(
        "usmf",
        "US",
        "USD",
        "USA",
        "United States",
        "US",
        "1",
        (("Boston", "MA"), ("Albany", "NY"), ("Austin", "TX"), ("Seattle", "WA"), ("Denver", "CO")),
        0.55,
    ),
)
"""By company, in the order of their ids: Finance's table is ordered by them."""

_SYLLABLES: Final = (
    "bal bar bel bor bri cal car cel cor dal dan del dor eld fal far fel fin gal gar gel gor hal har hel hol jal jor"
    " kal kar kel kol lan lar lem lor mal mar mel mor nal nar nel nor pal par pel por ral ran rel ror sal sar sel sol"
    " tal tar tel tor val var vel vor"
).split()
_TRADES: Final = (
    "Audio Electric Foods Garden Glass Home Instruments Interiors Lighting Logistics Machines Marine Media Metals"
    " Motors Optics Outdoor Packaging Paper Plastics Print Retail Robotics Sound Steel Textiles Timber Tools Toys Trade"
).split()
_FORMS: Final = ("Inc.", "Ltd.", "GmbH", "AG", "LLC", "Co.", "Group", "& Sons, Inc.")
_STREETS: Final = (
    "Harbour Way",
    "Mill Lane",
    "Station Road",
    "Market Street",
    "Park Avenue",
    "Church Hill",
    "Long Row",
)
_FIRST: Final = (
    "Ada",
    "Ben",
    "Cleo",
    "Dev",
    "Ella",
    "Finn",
    "Grace",
    "Hugo",
    "Ida",
    "Jon",
    "Kim",
    "Leo",
    "Mia",
    "Noah",
)
_LAST: Final = ("Abel", "Brandt", "Cole", "Diaz", "Evans", "Fischer", "Green", "Hayes", "Ito", "Jensen", "Khan", "Lang")
_BEGIN: Final = datetime(2024, 1, 1, tzinfo=UTC)
_SPAN: Final = int(timedelta(days=1000).total_seconds())
_LATELY: Final = int(timedelta(days=20).total_seconds())
_NAMES: Final = 64**3
_STRIDE: Final = 154_858_963  # a prime: numbers that follow one another look unlike, and none comes twice


@dataclass(frozen=True, slots=True)
class Party:
    """A customer as one side has it. `modified` is in seconds since 2024-01-01."""

    name: str
    phone: str
    email: str
    street: str
    city: str
    postal_code: str
    state: str
    tax_number: str
    credit_limit: str
    contact: tuple[str, str]
    modified: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the population: what either side has, and what is planted.

    Attributes:
        kind: `agrees`, or a key of `RATES`.
        region: Of its company.
        number: Its account number in Finance, empty where Finance has none.
        finance: As Finance has it, None where it does not.
        sales: As Sales has it, None where it does not.
        sales_number: The account number in Sales.
        unit: Its business unit in Sales: a company's id, or `outlet`.
        field: The field that differs.
        base: What both sides agreed on before a conflict.
        same_as: Company and account of the customer that it is the same as.
    """

    kind: str
    region: Region
    number: str
    finance: Party | None
    sales: Party | None
    sales_number: str
    unit: str
    field: str = ""
    base: str = ""
    same_as: str = ""


class Population:
    """Records, company by company, each company's in the order of their account numbers."""

    def __init__(self, customers: int, seed: int, rates: Mapping[str, float], fields: tuple[str, ...]) -> None:
        """Describe a population.

        Args:
            customers: How many records.
            seed: Of the dice.
            rates: What is planted, and how often: a share of all records each.
            fields: In which fields records may differ.

        Raises:
            ValueError: Rates that are unknown, negative or more than everything; unknown fields.
        """
        unknown = [*(set(rates) - set(RATES)), *(set(fields) - set(FIELDS))]
        if unknown or min(rates.values(), default=0) < 0 or sum(rates.values()) > 1 or not fields:
            raise ValueError(f"rates must be known, not negative and at most 1 together; fields known; {unknown}")
        self._customers = customers
        self._dice = random.Random(seed)  # noqa: S311  # data, not secrets
        self._fields = fields
        self._kinds = [kind for kind in rates if kind != "unmapped_company"]
        self._limits: list[float] = []
        for kind in self._kinds:
            self._limits.append((self._limits[-1] if self._limits else 0.0) + rates[kind])
        self._unmapped = int(customers * rates.get("unmapped_company", 0))
        self._serial = 1
        self._known: dict[str, list[tuple[str, Party]]] = {region.company: [] for region in REGIONS}

    def records(self) -> Iterator[Record]:
        """All records."""
        mapped = self._customers - self._unmapped
        foreign = self._unmapped // 2
        left = mapped
        regions = [region for region in REGIONS if region.share]
        for region in REGIONS:
            if region.company == UNMAPPED:
                yield from (self._unmapped_record(region, number) for number in range(1, foreign + 1))
                continue
            count = left if region is regions[-1] else int(mapped * region.share)
            left -= count
            outlets = self._unmapped - foreign if region is regions[-1] else 0
            for number in range(1, count + 1):
                yield self._record(region, number)
            for number in range(1, outlets + 1):
                party = self._party(region)
                yield Record("unmapped_company", region, "", None, party, f"OUT-{number:07d}", OUTLET)

    def _unmapped_record(self, region: Region, number: int) -> Record:
        return Record("unmapped_company", region, _account(region, number), self._party(region), None, "", "")

    def _record(self, region: Region, number: int) -> Record:
        dice, account = self._dice, _account(region, number)
        thrown = dice.random()
        kind = next((k for k, limit in zip(self._kinds, self._limits, strict=True) if thrown < limit), AGREES)
        party = self._party(region)
        if kind == AGREES:
            self._remember(region, account, party)
            return Record(AGREES, region, account, party, party, account, region.company)
        if kind == "only_in_finance":
            return Record(kind, region, account, party, None, "", region.company)
        if kind == "only_in_sales":
            return Record(kind, region, "", None, party, account if dice.random() < 0.5 else "", region.company)
        if kind in ("same_tax_number", "near_name", "sales_twin", "other_company"):
            return self._double(kind, region, account, party)
        return self._apart(kind, region, account, party)

    def _apart(self, kind: str, region: Region, account: str, party: Party) -> Record:
        """A record whose two sides are not the same."""
        field = {"rounding": "credit_limit", "formatted": "phone"}.get(kind) or self._dice.choice(self._fields)
        value = getattr(party, field)
        if kind == "rounding":
            return self._sides(kind, region, account, replace(party, credit_limit=f"{value}4"), party, field)
        if kind == "formatted":
            spaced = f"{value[:-7]} {value[-7:-4]}-{value[-4:]}".replace("+", "00")
            return self._sides(kind, region, account, party, replace(party, phone=spaced), field)
        other = self._changed(field, value)
        if kind == "different":
            return self._sides(kind, region, account, party, _with(party, field, other), field)
        third = self._changed(field, other)
        while third in (value, other):
            third = self._changed(field, other)
        late = _SPAN - self._dice.randrange(_LATELY)
        finance = replace(_with(party, field, other), modified=late)
        sales = replace(_with(party, field, third), modified=_SPAN - self._dice.randrange(_LATELY))
        return self._sides(kind, region, account, finance, sales, field, base=value)

    def _sides(
        self, kind: str, region: Region, account: str, finance: Party, sales: Party, field: str, base: str = ""
    ) -> Record:
        return Record(kind, region, account, finance, sales, account, region.company, field=field, base=base)

    def _double(self, kind: str, region: Region, account: str, fresh: Party) -> Record:
        """A record of somebody who is there already; of nobody, while there is nobody, it agrees."""
        others = [company for company, known in self._known.items() if known and company != region.company]
        company = self._dice.choice(others) if kind == "other_company" and others else region.company
        if not self._known[company] or (kind == "other_company" and not others):
            self._remember(region, account, fresh)
            return Record(AGREES, region, account, fresh, fresh, account, region.company)
        other, party = self._dice.choice(self._known[company])
        same_as = f"{company}/{other}"
        if kind == "same_tax_number":
            double = replace(fresh, tax_number=party.tax_number)
        elif kind == "near_name":
            double = replace(
                fresh,
                name=self._mistyped(party.name),
                street=party.street,
                city=party.city,
                postal_code=party.postal_code,
                state=party.state,
            )
        elif kind == "other_company":
            double = replace(fresh, name=party.name, tax_number=party.tax_number)
        else:
            double = replace(party, name=self._mistyped(party.name), email=fresh.email, modified=fresh.modified)
            return Record(kind, region, "", None, double, "", region.company, same_as=same_as)
        return Record(kind, region, account, double, double, account, region.company, same_as=same_as)

    def _remember(self, region: Region, account: str, party: Party) -> None:
        known = self._known[region.company]
        if len(known) < _RECENT:
            known.append((account, party))
        else:
            known[self._dice.randrange(_RECENT)] = (account, party)

    def _party(self, region: Region) -> Party:
        serial = self._serial
        self._serial += 1
        mixed = serial * _STRIDE
        word = mixed % _NAMES
        syllables = _SYLLABLES[word % 64] + _SYLLABLES[word // 64 % 64] + _SYLLABLES[word // 4096]
        bits = self._dice.getrandbits(60)
        trade = _TRADES[(serial // _NAMES + word) % len(_TRADES)]
        city, state = region.cities[bits % len(region.cities)]
        digits = f"{mixed % 999_999_937:09d}"
        return Party(
            name=f"{syllables.capitalize()} {trade} {_FORMS[bits >> 4 & 7]}",
            phone=f"+{region.dial}{digits}",
            email=f"office@{syllables}{serial // _NAMES or ''}.example",
            street=f"{1 + (bits >> 8) % 240} {_STREETS[(bits >> 16) % len(_STREETS)]}",
            city=city,
            postal_code=f"{(bits >> 20) % 90000 + 10000}",
            state=state,
            tax_number=f"{region.tax_prefix}{digits}",
            credit_limit=f"{((bits >> 36) % 400) * 500}.00",
            contact=(_FIRST[(bits >> 45) % len(_FIRST)], _LAST[(bits >> 50) % len(_LAST)]),
            modified=(serial * 7919) % (_SPAN - _LATELY),
        )

    def _changed(self, field: str, value: str) -> str:
        """Another value of a field: one that nobody would take for the same."""
        dice = self._dice
        if field == "credit_limit":
            return f"{int(value[:-3]) + 500 * dice.randrange(1, 40)}.00"
        if field == "name":
            return f"{value.partition(' ')[0]} Holding {dice.randrange(10, 99)}"
        if field in ("phone", "tax_number", "postal_code"):
            return value[:-4] + f"{(int(value[-4:]) + dice.randrange(1, 9999)) % 10_000:04d}"
        return f"{value} {dice.randrange(10, 99)}"

    def _mistyped(self, name: str) -> str:
        """A name with two letters of its first word exchanged, one left out, or its form of company left out."""
        dice, (word, _, rest) = self._dice, name.partition(" ")
        at = dice.randrange(1, len(word) - 2)
        how = dice.randrange(3)
        if how == 0 and word[at] != word[at + 1]:
            return f"{word[:at]}{word[at + 1]}{word[at]}{word[at + 2 :]} {rest}"
        if how == 1:
            return f"{word[:at]}{word[at + 1 :]} {rest}"
        return f"{word} {rest.partition(' ')[0]}"


_RECENT: Final = 2000
"""How many customers of a company are kept in mind, to make doubles of."""


def _with(party: Party, field: str, value: str) -> Party:
    changes: dict[str, Any] = {field: value}
    return replace(party, **changes)


def _account(region: Region, number: int) -> str:
    return f"{region.prefix}-{number:07d}"


def stamp_of(seconds: int) -> str:
    """A moment of the population, in UTC."""
    return (_BEGIN + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
