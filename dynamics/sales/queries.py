"""What is asked of Dataverse: columns, expansions and keys.

Lines are read as collections of their own and never as an expansion, which Dataverse cuts at a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from dynamics.core.connection import Listing
from dynamics.core.literals import encoded, key, literal, query
from dynamics.sales.options import QuoteStatus

_USER = "azureactivedirectoryobjectid,fullname,domainname,internalemailaddress"
_ORDER_LOOKUPS = ("quoteid", "customerid", "opportunityid", "pricelevelid", "transactioncurrencyid")
_ORDER_COLUMNS = (
    "salesorderid",
    "ordernumber",
    "name",
    "statecode",
    "statuscode",
    "q2c_financeordernumber",
    "createdon",
)

ORDER_LOGICAL_NAMES = [*_ORDER_COLUMNS, *_ORDER_LOOKUPS]
"""Columns of a salesorder as a ColumnSet names them (Microsoft Learn: ColumnSet.Columns takes logical names)."""

_ORDER_SELECT = ",".join([*_ORDER_COLUMNS, *(f"_{lookup}_value" for lookup in _ORDER_LOOKUPS)])
_ORDER_LINE_SELECT = (
    "salesorderdetailid,lineitemnumber,_quotedetailid_value,_productid_value,_uomid_value,productdescription,quantity,"
    "quantityshipped"
)
_QUOTE_SELECT = (
    "quoteid,versionnumber,quotenumber,revisionnumber,name,description,statecode,statuscode,expireson,effectiveto,closedon,"
    "shipto_name,shipto_contactname,shipto_telephone,shipto_line1,shipto_line2,shipto_line3,shipto_city,"
    "shipto_postalcode,shipto_stateorprovince,shipto_country,q2c_customerreference,"
    "paymenttermscode,requestdeliveryby,discountpercentage,discountamount,freightamount,totalamountlessfreight,totaltax,"
    "totalamount,_transactioncurrencyid_value,q2c_approvalstatus,q2c_approvalreason,q2c_caseid,q2c_creditstatus"
)
_QUOTE_EXPAND = ",".join(
    (
        "customerid_account($select=accountid,accountnumber,name,_transactioncurrencyid_value)",
        "opportunityid($select=opportunityid,name,statecode)",
        "transactioncurrencyid($select=isocurrencycode)",
        "pricelevelid($select=pricelevelid,name;$expand=transactioncurrencyid($select=isocurrencycode))",
        f"owninguser($select={_USER})",
        f"modifiedby($select={_USER})",
        f"createdby($select={_USER})",
        "owningbusinessunit($select=name)",
        f"quote_orders($select={_ORDER_SELECT})",
    )
)
_QUOTE_LINE_SELECT = (
    "quotedetailid,lineitemnumber,sequencenumber,isproductoverridden,productdescription,description,quantity,priceperunit,"
    "ispriceoverridden,manualdiscountamount,volumediscountamount,tax,baseamount,extendedamount,pricingerrorcode"
)
_QUOTE_LINE_EXPAND = "productid($select=productnumber,name,quantitydecimal),uomid($select=name)"
_INVOICE_SELECT = "invoiceid,q2c_financeinvoicenumber,_salesorderid_value,totalamount,statecode"

_NAMESAKES = (
    '<fetch top="10" distinct="true"><entity name="account"><attribute name="accountid"/>'
    '<filter><condition attribute="statecode" operator="eq" value="0"/></filter>'
    '<link-entity name="account" from="accountnumber" to="accountnumber" alias="own">'
    '<link-entity name="quote" from="customerid" to="accountid" alias="of">'
    '<filter><condition attribute="quoteid" operator="eq" value="{quote_id}"/></filter>'
    "</link-entity></link-entity></entity></fetch>"
)


def quote(quote_id: UUID) -> str:
    """A quote with customer, opportunity, people and the orders made from it, without its lines."""
    return query(key("quotes", quote_id), select=_QUOTE_SELECT, expand=_QUOTE_EXPAND)


def quotes_of(opportunity_id: UUID) -> str:
    """The newest quotes of an opportunity, of every number and revision but those that a later one replaced."""
    return query(
        "quotes",
        select="quotenumber,revisionnumber,name,statecode,totalamountlessfreight,freightamount",
        filter=f"_opportunityid_value eq {opportunity_id} and statuscode ne {QuoteStatus.REVISED.value}",
        expand="transactioncurrencyid($select=isocurrencycode),owningbusinessunit($select=name)",
        orderby="createdon desc",
        top=20,
    )


MOST_FILES = 20
"""Files of a record that are asked for, the newest first."""


def files_of(record_id: UUID) -> str:
    """The newest files on a record (notes with a document), without their content."""
    return query(
        "annotations",
        select="filename,filesize,subject,createdon",
        filter=f"_objectid_value eq {record_id} and isdocument eq true",
        expand="createdby($select=fullname)",
        orderby="createdon desc",
        top=MOST_FILES,
    )


def quote_lines(quote_id: UUID) -> Listing:
    """All lines of a quote, with product and unit."""
    path = query(
        "quotedetails",
        select=_QUOTE_LINE_SELECT,
        expand=_QUOTE_LINE_EXPAND,
        filter=f"_quoteid_value eq {quote_id}",
        orderby="lineitemnumber,quotedetailid",
    )
    return Listing(path, ("quotedetailid",))


def quote_line_identities(quote_id: UUID) -> Listing:
    """What identifies the lines of a quote."""
    path = query(
        "quotedetails",
        select="quotedetailid,lineitemnumber,sequencenumber",
        filter=f"_quoteid_value eq {quote_id}",
        orderby="quotedetailid",
    )
    return Listing(path, ("quotedetailid",))


def revisions(quote_number: str) -> Listing:
    """Every revision of a quote, and who made and last changed each."""
    path = query(
        "quotes", select="quoteid,_createdby_value,_modifiedby_value", filter=f"quotenumber eq {literal(quote_number)}"
    )
    return Listing(path, ("quoteid",))


def latest_revision(quote_number: str) -> str:
    """The id of a quote's latest revision."""
    return query(
        "quotes",
        select="quoteid",
        filter=f"quotenumber eq {literal(quote_number)}",
        orderby="revisionnumber desc",
        top=1,
    )


def lines_of_revisions(quote_number: str) -> Listing:
    """The lines of every revision of a quote, and who made and last changed each."""
    path = query(
        "quotedetails",
        select="quotedetailid,_createdby_value,_modifiedby_value",
        filter=f"quoteid/quotenumber eq {literal(quote_number)}",
        orderby="quotedetailid",
    )
    return Listing(path, ("quotedetailid",))


def changes_of(rows: Sequence[UUID]) -> Listing:
    """Who created, changed, assigned or deleted rows, as far as Dataverse's audit says."""
    path = query("audits", select="auditid,operation,_objectid_value,_userid_value", filter=_among("objectid", rows))
    return Listing(path, ("auditid",))


def users(ids: Sequence[UUID]) -> Listing:
    """Users by their Dataverse ids."""
    path = query("systemusers", select=f"systemuserid,applicationid,{_USER}", filter=_among("systemuserid", ids))
    return Listing(path, ("systemuserid",))


def _among(column: str, ids: Sequence[UUID]) -> str:
    values = ",".join(f"'{each}'" for each in ids)
    return f"Microsoft.Dynamics.CRM.In(PropertyName='{column}',PropertyValues=[{values}])"


def namesakes(quote_id: UUID) -> str:
    """Active accounts with the account number of a quote's customer, itself among them; a few of them.

    FetchXML can compare a column of one row with a column of another (Microsoft Learn: "Join tables using FetchXml"),
    so that the number need not be known before it is asked for.
    """
    return f"accounts?fetchXml={encoded(_NAMESAKES.format(quote_id=quote_id))}"


def order(order_id: UUID) -> str:
    """A salesorder without its lines."""
    return query(key("salesorders", order_id), select=_ORDER_SELECT, expand="owningbusinessunit($select=name)")


def order_lines(order_id: UUID) -> Listing:
    """All lines of a salesorder."""
    path = query(
        "salesorderdetails",
        select=_ORDER_LINE_SELECT,
        filter=f"_salesorderid_value eq {order_id}",
        orderby="salesorderdetailid",
    )
    return Listing(path, ("salesorderdetailid",))


def invoice(invoice_id: UUID) -> str:
    """The copy of an invoice, without its lines."""
    return query(key("invoices", invoice_id), select=_INVOICE_SELECT)


def invoice_lines(invoice_id: UUID) -> Listing:
    """Which lines the copy of an invoice has."""
    path = query(
        "invoicedetails",
        select="invoicedetailid",
        filter=f"_invoiceid_value eq {invoice_id}",
        orderby="invoicedetailid",
    )
    return Listing(path, ("invoicedetailid",))
