"""Writes a data set into Sales, Finance and the directory, so that all of them agree.

What belongs together carries the same number: account and customer, product and item. A company is a legal entity in
Finance and a business unit in Sales; its list prices are a price list there and price agreements here.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sandbox.currencies import decimals
from sandbox.data import bulk
from sandbox.data.ids import row_id
from sandbox.data.model import Company, Customer, Dataset, Item, round_to_currency
from sandbox.dataverse import Dataverse
from sandbox.dataverse.populate import ROOT_UNIT, privileges_named
from sandbox.dataverse.security import GLOBAL, grant
from sandbox.dataverse.solution import ROLE
from sandbox.entra.directory import DOMAIN, READER_CLIENT_ID, SERVICE_CLIENT_ID, Directory, Person
from sandbox.finance import Finance

_SCHEDULE = row_id("uomschedule", "default")
_NET_30 = 1
"""paymenttermscode of the terms that every customer has in Finance (Microsoft Learn: table reference of account)."""
_ACTIVE_PRODUCT = {"statecode": 0, "statuscode": 1}
_COUNTRIES = {"USA": "United States", "DEU": "Germany", "JPN": "Japan", "KWT": "Kuwait"}
_SYMBOLS = {
    "USD": ("US Dollar", "$"),
    "EUR": ("Euro", "€"),
    "JPY": ("Japanese Yen", "¥"),
    "KWD": ("Kuwaiti Dinar", "KD"),
}
_ROLES_OF = {
    "sales_manager": ("Sales Manager",),
    "sales_director": ("Sales Manager",),
    "admin": ("System Administrator",),
    "ops": ("Sales Manager", "System Customizer"),
}
"""What a person does in the company -> the security roles in Sales; everybody else is a salesperson."""
READER_ROLE = "Quote to Cash Reader"
_READS = (
    "Account,Contact,Opportunity,Quote,Order,Invoice,Product,TransactionCurrency,BusinessUnit,User,Team,Organization,"
    "q2c_PastInvoice"
)
"""What the application for reading in bulk may read, all of it at organization level; it may do nothing else."""
_BASE_CURRENCY = "USD"
_PER_DOLLAR = {"USD": Decimal(1), "EUR": Decimal("0.92"), "JPY": Decimal(150), "KWD": Decimal("0.307")}


def install(dataset: Dataset, dataverse: Dataverse, finance: Finance, directory: Directory) -> None:
    """Fill empty systems with a data set (its planned quotes are entered by the desk's rep afterwards)."""
    directory.replace_people(dataset.people)
    _fill_finance(dataset, finance)
    _fill_sales(dataset, dataverse)
    if dataset.population is not None:
        bulk.put_on_shelves(dataset.population, dataverse, finance)


def install_customer(dataset: Dataset, dataverse: Dataverse, finance: Finance, customer: Customer) -> None:
    """Add one customer to the systems it is in: the account in Sales and the customer of the same number in Finance."""
    if customer.in_finance:
        _add_customer(dataset, finance, customer)
    if customer.in_sales:
        with dataverse.db.transaction():
            _add_account(dataset.company(customer.company), dataverse, customer)


# --- Finance ---------------------------------------------------------------------------------------------------------


def _fill_finance(dataset: Dataset, finance: Finance) -> None:
    for company in dataset.companies:
        finance.add_company(
            company.id,
            company.currency,
            company.time_zone,
            company.tax_pct,
            name=company.name,
            order_prefix="" if company is dataset.companies[0] else f"{company.id.upper()}-",
        )
    for currency, rate in _PER_DOLLAR.items():
        if currency != _BASE_CURRENCY:
            finance.set_exchange_rate(_BASE_CURRENCY, currency, rate)
    for item in dataset.items:
        finance.add_item(
            item.company,
            item.number,
            name=item.name,
            price=item.list_price,
            cost=item.unit_cost,
            unit=item.unit,
            group=item.group,
        )
        if item.stopped:
            finance.stop_item(item.company, item.number)
    for company in dataset.companies:
        _add_surtaxes(finance, company, [entry for entry in dataset.customers if entry.company == company.id])
    for customer in filter(lambda each: each.in_finance, dataset.customers):
        _add_customer(dataset, finance, customer)
    for group in dataset.credit_groups:
        members = {entry.account: entry.company for entry in dataset.customers if entry.credit_group == group.name}
        finance.share_credit(group.name, group.limit, group.currency, members)


def _add_surtaxes(finance: Finance, company: Company, customers: Sequence[Customer]) -> None:
    for percentage in dict.fromkeys(customer.surtax for customer in customers if customer.surtax):
        code = _surtax_code(percentage)
        finance.add_tax(company.id, code, f"City tax of {percentage} %", percentage, group=code)


def _surtax_code(percentage: Decimal) -> str:
    return f"CITY{percentage}"


def _add_customer(dataset: Dataset, finance: Finance, customer: Customer) -> None:
    particulars = {
        "InvoiceAccount": customer.invoice_account,
        "PaymentCashDiscount": customer.cash_discount,
        "PaymentSchedule": customer.payment_schedule,
        "SalesTaxGroup": _surtax_code(customer.surtax) if customer.surtax else "",
        "IsSalesTaxIncludedInPrices": "Yes" if customer.prices_include_tax else "",
        "OnHoldStatus": customer.on_hold,
        "AddressState": customer.state,
        "PrimaryContactEmail": customer.email,
        "TaxExemptNumber": customer.tax_number,
    }
    made = finance.create(
        "CustomersV3",
        {
            "dataAreaId": customer.company,
            "CustomerAccount": customer.account,
            "OrganizationName": customer.name,
            "CustomerGroupId": "10",
            "SalesCurrencyCode": customer.currency or dataset.company(customer.company).currency,
            "PaymentTerms": customer.payment_terms,
            "CreditLimit": customer.credit_limit,
            "CredManCustUnlimitedCredit": "Yes" if customer.unlimited else "No",
            "AddressStreet": customer.street,
            "AddressCity": customer.city,
            "AddressZipCode": customer.postal_code,
            "AddressCountryRegionId": customer.country,
            "PrimaryContactPhone": customer.phone,
        }
        | {column: value for column, value in particulars.items() if value},
    )
    _add_contact_person(finance, customer, str(made["PartyNumber"]))
    if customer.threshold_pct != 100:
        finance.set_credit_threshold(customer.company, customer.account, customer.threshold_pct)
    for number, invoice in enumerate(customer.open_invoices, start=1):
        finance.seed_open_invoice(
            customer.company,
            customer.account,
            invoice.amount,
            due_in_days=invoice.due_in_days,
            invoice=f"OPEN-{customer.account}-{number}",
        )
    item = next((item.number for item in dataset.items if item.company == customer.company), "")
    for number, amount in enumerate(customer.open_orders, start=1):
        order = f"SO-{customer.account}-{number}"
        finance.seed_open_order(customer.company, customer.account, amount, number=order, item=item)


def _add_contact_person(finance: Finance, customer: Customer, party: str) -> None:
    """The customer's contact, as Sales has it; of one in three nobody has told Finance."""
    first, _, last = customer.contact.rpartition(" ")
    if not last or sum(customer.account.encode()) % 3 == 0:
        return
    person = {"FirstName": first, "LastName": last, "PrimaryPhoneNumber": customer.phone}
    company = {"dataAreaId": customer.company, "AssociatedPartyNumber": party}
    finance.create("ContactPersons", company | {column: value for column, value in person.items() if value})


# --- Sales -----------------------------------------------------------------------------------------------------------


def _fill_sales(dataset: Dataset, dataverse: Dataverse) -> None:
    with dataverse.change_set():
        bought_in = [customer.currency for customer in dataset.customers if customer.currency]
        currencies = [_BASE_CURRENCY, *(company.currency for company in dataset.companies), *bought_in]
        for currency in dict.fromkeys(currencies):
            _add_currency(dataverse, currency)
        for company in dataset.companies:
            unit = {"businessunitid": row_id("businessunit", company.id), "name": company.id.upper()}
            dataverse.create("businessunits", unit | {"divisionname": company.name[:100]})
        for team in dataverse.rows("team", isdefault=True):  # or it can own nothing
            dataverse.assign_role(team["teamid"], "Basic User", team=True)
        _add_users(dataset, dataverse)
        _add_others(dataset, dataverse)
        _add_catalogue(dataset, dataverse)
        for customer in filter(lambda each: each.in_sales, dataset.customers):
            _add_account(dataset.company(customer.company), dataverse, customer)


def _add_currency(dataverse: Dataverse, code: str) -> None:
    name, symbol = _SYMBOLS.get(code, (code, code))
    dataverse.create(
        "transactioncurrencies",
        {
            "transactioncurrencyid": row_id("transactioncurrency", code),
            "isocurrencycode": code,
            "currencyname": name,
            "currencysymbol": symbol,
            "currencyprecision": decimals(code),
            "exchangerate": _PER_DOLLAR.get(code, Decimal(1)),
        },
    )


def _add_users(dataset: Dataset, dataverse: Dataverse) -> None:
    for person in dataset.people:
        dataverse.create("systemusers", _user(person))
        for role in _ROLES_OF.get(_kind(person), ("Salesperson",)):
            dataverse.assign_role(row_id("systemuser", person.name), role)
    # The product itself: an application user, known by its application id; and the one that only reads.
    for name, client, title in (("application", SERVICE_CLIENT_ID, ""), ("reader", READER_CLIENT_ID, " reader")):
        dataverse.create(
            "systemusers",
            {
                "systemuserid": row_id("systemuser", name),
                "firstname": f"Quote to Cash{title}",
                "lastname": "(application)",
                "domainname": f"{client}@{DOMAIN}",
                "applicationid": client,
                "accessmode": 4,
                "businessunitid@odata.bind": f"/businessunits({row_id('businessunit', dataset.companies[0].id)})",
            },
        )
    if dataverse.application_role:
        dataverse.assign_role(row_id("systemuser", "application"), dataverse.application_role)
    if dataverse.rows("role", name=ROLE):  # in a bare environment nobody has set up a role to read with
        _add_reader_role(dataverse)


def _add_reader_role(dataverse: Dataverse) -> None:
    role = row_id("role", READER_ROLE)
    unit = {"businessunitid@odata.bind": f"/businessunits({ROOT_UNIT})"}
    dataverse.create("roles", {"roleid": role, "name": READER_ROLE, **unit})
    grant(dataverse.db, role, privileges_named([f"Read:{_READS}"]), GLOBAL)
    dataverse.assign_role(row_id("systemuser", "reader"), READER_ROLE)


def _add_others(dataset: Dataset, dataverse: Dataverse) -> None:
    """Users the directory does not know, business units that are no company's, and teams."""
    for user in dataset.sales_users:
        unit = row_id("businessunit", user.unit.lower())
        if dataverse.get("businessunits", unit) is None:
            dataverse.create("businessunits", {"businessunitid": unit, "name": user.unit})
        first, _, last = user.display_name.partition(" ")
        body = {"systemuserid": row_id("systemuser", user.name), "firstname": first, "lastname": last}
        body |= {"domainname": f"{user.name}@{DOMAIN}", "businessunitid@odata.bind": f"/businessunits({unit})"}
        dataverse.create("systemusers", body)
        dataverse.assign_role(row_id("systemuser", user.name), "Salesperson")
    for team in dataset.teams:
        unit = row_id("businessunit", team.company)
        body = {"teamid": row_id("team", team.name), "name": team.name}
        dataverse.create("teams", body | {"businessunitid@odata.bind": f"/businessunits({unit})"})
        dataverse.assign_role(row_id("team", team.name), "Salesperson", team=True)
        for member in team.members:
            dataverse.add_to_team(row_id("team", team.name), row_id("systemuser", member))


def _kind(person: Person) -> str:
    """A person's first role, without its company."""
    return person.roles[0].partition(".")[0] if person.roles else ""


def _user(person: Person) -> dict[str, Any]:
    first, _, last = person.display_name.partition(" ")
    return {
        "systemuserid": row_id("systemuser", person.name),
        "firstname": first,
        "lastname": last or first,
        "domainname": person.upn,
        "internalemailaddress": person.upn,
        "azureactivedirectoryobjectid": person.oid,
        "title": person.title,
        "isdisabled": False,
        "businessunitid@odata.bind": f"/businessunits({row_id('businessunit', person.company)})",
    }


def _add_catalogue(dataset: Dataset, dataverse: Dataverse) -> None:
    schedule = {"uomscheduleid": _SCHEDULE, "name": "Default unit", "baseuomname": "ea"}
    dataverse.create("uomschedules", schedule)
    for unit in dict.fromkeys(item.unit for item in dataset.items):
        body = {"uomid": row_id("uom", unit), "name": unit, "quantity": Decimal(1)}
        dataverse.create("uoms", body | {"uomscheduleid@odata.bind": f"/uomschedules({_SCHEDULE})"})
    lists = [(company, currency) for company in dataset.companies for currency in _currencies_of(dataset, company)]
    for company, currency in lists:
        words = "" if currency == company.currency else f" in {currency}"
        price_list = {
            "pricelevelid": price_list_of(company, currency),
            "name": f"{company.id.upper()} list prices{words}",
            "transactioncurrencyid@odata.bind": f"/transactioncurrencies({row_id('transactioncurrency', currency)})",
        }
        dataverse.create("pricelevels", price_list)
    known: set[str] = set()
    for item in dataset.items:
        product, unit = row_id("product", item.number), row_id("uom", item.unit)
        if item.number not in known:
            known.add(item.number)
            body = {
                "productid": product,
                "productnumber": item.number,
                "name": item.name,
                "quantitydecimal": 0,
                "defaultuomid@odata.bind": f"/uoms({unit})",
                "defaultuomscheduleid@odata.bind": f"/uomschedules({_SCHEDULE})",
            }
            dataverse.create("products", body)
            dataverse.update("products", product, _ACTIVE_PRODUCT)
        for company, currency in lists:
            if company.id != item.company:
                continue
            foreign = () if currency == company.currency else (currency,)
            dataverse.create(
                "productpricelevels",
                {
                    "productpricelevelid": row_id("productpricelevel", item.company, item.number, *foreign),
                    "amount": list_price(company, item, currency),
                    "pricelevelid@odata.bind": f"/pricelevels({price_list_of(company, currency)})",
                    "productid@odata.bind": f"/products({product})",
                    "uomid@odata.bind": f"/uoms({unit})",
                },
            )


def _currencies_of(dataset: Dataset, company: Company) -> tuple[str, ...]:
    """In which currencies a company sells: its own, then those of its customers."""
    bought = (customer.currency for customer in dataset.customers if customer.company == company.id)
    return tuple(dict.fromkeys((company.currency, *filter(None, bought))))


def price_list_of(company: Company, currency: str) -> str:
    """Id in Sales of a company's price list in a currency."""
    foreign = () if currency == company.currency else (currency,)
    return row_id("pricelevel", company.id, *foreign)


def list_price(company: Company, item: Item, currency: str) -> Decimal:
    """List price a unit in a currency a company sells in, at the rate Finance has from the start."""
    if currency == company.currency:
        return item.list_price
    return round_to_currency(item.list_price * _PER_DOLLAR[currency] / _PER_DOLLAR[company.currency], currency)


def _add_account(company: Company, dataverse: Dataverse, customer: Customer) -> None:
    account = row_id("account", company.id, customer.account)
    price_list = {"defaultpricelevelid@odata.bind": f"/pricelevels({row_id('pricelevel', company.id)})"}
    currency = customer.currency or company.currency
    # Every business unit has a default team of its own: an account is the company's whose team owns it.
    (team,) = dataverse.rows("team", isdefault=True, businessunitid=row_id("businessunit", company.id))
    owner = {"ownerid@odata.bind": f"/teams({team['teamid']})"}
    dataverse.create(
        "accounts",
        owner
        | {
            "accountid": account,
            "name": customer.name,
            "accountnumber": (customer.sales_account or customer.account) if customer.in_finance else None,
            "customertypecode": 3,
            "paymenttermscode": _NET_30,
            "telephone1": customer.phone or None,
            "address1_line1": customer.street or None,
            "address1_city": customer.city or None,
            "address1_postalcode": customer.postal_code or None,
            "address1_stateorprovince": customer.state or None,
            "emailaddress1": customer.email or None,
            "msdyn_taxexemptnumber": customer.tax_number or None,
            "address1_country": _COUNTRIES.get(customer.country, customer.country) or None,
            "transactioncurrencyid@odata.bind": f"/transactioncurrencies({row_id('transactioncurrency', currency)})",
        }
        # A price list in another currency than the account's cannot be used: none is proposed.
        | (price_list if currency == company.currency else {}),
    )
    if customer.contact:
        first, _, last = customer.contact.rpartition(" ")
        dataverse.create(
            "contacts",
            owner
            | {
                "contactid": row_id("contact", company.id, customer.account),
                "firstname": first or None,
                "lastname": last,
                "telephone1": customer.phone or None,
                "parentcustomerid_account@odata.bind": f"/accounts({account})",
            },
        )
