"""Field extraction by rule: typed values with quotes, by name, label and format; nothing where no rule speaks."""

import json
from pathlib import Path
from typing import Any

import pytest

from fallbacks.extract import extract
from schemas.extract import Extraction, ExtractRequest

INVOICES = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "data/invoices/invoices.jsonl").read_text(encoding="utf-8").splitlines()
]


def _extract(text: str, schema: str | dict[str, Any]) -> Extraction | None:
    return extract(ExtractRequest(text=text, fields_schema=schema))


def _values(text: str, **properties: dict[str, Any]) -> dict[str, Any] | None:
    request = ExtractRequest(text=text, fields_schema={"type": "object", "properties": properties})
    found = extract(request)
    return None if found is None else request.compiled.plain(found.fields)


@pytest.mark.parametrize("row", INVOICES, ids=lambda row: str(row["id"]))
def test_real_invoices_in_five_languages(row: dict[str, Any]) -> None:
    """Number, date, total and currency of real invoices; the quotes stand in the text with their labels."""
    request = ExtractRequest(text=row["text"], fields_schema="invoice")

    found = extract(request)

    assert found is not None
    values = request.compiled.plain(found.fields)
    gold = row["gold"]
    assert (values["total"], values["issue_date"], values["currency"]) == (
        gold["amount"],
        gold["date"],
        gold["currency"],
    )
    assert values["invoice_number"].endswith(gold["invoice_number"]) or row["id"] == "inv-Orlen"
    assert all(quote in row["text"] for _, quote in request.compiled.quotes(found.fields))
    assert found.not_found == request.compiled.not_found(found.fields)


def test_a_receipt_is_read_by_its_labels() -> None:
    """The total is what is to be paid, not the subtotal, the cash or the change."""
    text = (
        "CORNER BOOKS LTD\n12 High Street\nDate: 25/12/2018 8:13 PM\nSUBTOTAL  17.75\nGST 6% :  1.07\n"
        "TOTAL SAVING  0.00  TOTAL  18.82\nROUNDED TOTAL (RM):  18.80\nCASH  20.00\nCHANGE  1.20\n"
    )

    found = _extract(text, "receipt")

    assert found is not None
    assert found.fields["total"] == {"value": 18.8, "quote": "ROUNDED TOTAL (RM):  18.80"}
    assert found.fields["date"] == {"value": "2018-12-25", "quote": "Date: 25/12/2018"}
    assert found.fields["company"] == {"value": "CORNER BOOKS LTD", "quote": "CORNER BOOKS LTD"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Rechnungsdatum 7. Mai 2014", "2014-05-07"),
        ("Facture du 02 Juillet 2015", "2015-07-02"),
        ("Factuurdatum: 19 april 2014", "2014-04-19"),
        ("Fecha: 3 de enero de 2021", "2021-01-03"),
        ("Data: 5 maggio 2020", "2020-05-05"),
        ("Data wystawienia: 12 września 2021", "2021-09-12"),
        ("日期：2021年3月4日", "2021-03-04"),
        ("Дата: 3 января 2021", "2021-01-03"),
        ("Date: Jan 1, 2022", "2022-01-01"),
        ("Invoice date: 03/20/2023, 04/05/2023", "2023-03-20"),
        ("Date: 04/05/2023", "2023-05-04"),
        ("Total $ 5.00\nDate: 04/05/2023", "2023-04-05"),
        ("Date: 20180304", "2018-03-04"),
    ],
)
def test_dates_become_iso_in_many_notations(text: str, value: str) -> None:
    """Day before month unless the document shows otherwise; month names of many languages."""
    assert _values(text, date={"type": "string", "format": "date"}) == {"date": value}


@pytest.mark.parametrize("text", ["Date: 31/02/2020", "Date: 5 March", "Version 1.2.3", "20180304", "tomorrow"])
def test_what_is_no_whole_date_is_not_found(text: str) -> None:
    """Impossible days, dates without a year, versions and bare digits are no dates."""
    assert _values(text, date={"type": "string", "format": "date"}) is None


def test_each_date_goes_to_its_own_field() -> None:
    """Issue, due and delivery date are told apart by their labels; a role without a label is not found."""
    date = {"type": "string", "format": "date"}
    text = "Order date: 1.2.2021\nInvoice date: 3.2.2021\nDelivery date: 4.2.2021\nPayable by 17.2.2021\n"

    values = _values(text, issue_date=date, due_date=date, delivery_date=date, birth_date=date)

    assert values == {
        "issue_date": "2021-02-03",
        "due_date": "2021-02-17",
        "delivery_date": "2021-02-04",
        "birth_date": None,
    }


def test_values_under_column_headings_are_found() -> None:
    """A heading above its column is the label of the value below it."""
    text = "Invoice Date        Due Date        Reference\n03/20/2023          04/04/2023      CUST-123\n"
    date = {"type": "string", "format": "date"}

    assert _values(text, issue_date=date, due_date=date) == {"issue_date": "2023-03-20", "due_date": "2023-04-04"}


@pytest.mark.parametrize(
    ("text", "total", "currency"),
    [
        ("Gesamtbetrag: 1.234,56 €", 1234.56, "EUR"),
        ("Total TTC : 1 234,56 €", 1234.56, "EUR"),
        ("Grand total CHF 1'234.50", 1234.5, "CHF"),
        ("Total: RM8.60", 8.6, "MYR"),
        ("Do zapłaty: 316,83 zł", 316.83, "PLN"),
        ("Amount due HK$ 20.00", 20, "HKD"),
        ("合计：¥ 99.00 CNY", 99, "CNY"),
        ("Grand Total Rs 1939", 1939, "INR"),
        ("Totaal EUR 49,99", 49.99, "EUR"),
    ],
)
def test_amounts_in_many_notations(text: str, total: float, currency: str) -> None:
    """Thousands and decimals in each country's notation; symbols become ISO codes."""
    found = _values(text, total={"type": "number"}, currency={"type": "string", "pattern": "^[A-Z]{3}$"})

    assert found == {"total": total, "currency": currency}


def test_codes_with_a_wrong_check_digit_are_not_found() -> None:
    """An IBAN must be right; one that runs into the next word is cut at it."""
    iban = {"type": "string"}

    assert _values("IBAN DE89 3704 0044 0532 0130 01", iban=iban) is None
    assert _values("IBAN: DE89 3704 0044 0532 0130 00 BIC COBADEFF", iban=iban) == {"iban": "DE89370400440532013000"}


def test_a_contact() -> None:
    """E-mail, phone, web address, firm and address of a signature."""
    text = (
        "From: Ann Lee <ann@example.com>\nAcme Widgets Ltd\n12 Main St, Springfield, IL 62701\n"
        "Tel: +1 650-253-0000\nwww.example.com.\nName: Ann Lee\n"
    )
    request = ExtractRequest(text=text, fields_schema="contact")

    found = extract(request)

    assert found is not None
    assert request.compiled.plain(found.fields) == {
        "name": "Ann Lee",
        "organization": "Acme Widgets Ltd",
        "email": "ann@example.com",
        "phone": "+1 650-253-0000",
        "website": "www.example.com",
        "address": "12 Main St, Springfield, IL 62701",
    }


def test_a_producers_own_fields_are_found_beside_their_names() -> None:
    """Names of fields are labels: in any case, with ``No.`` for number, in nested objects; a code needs a digit."""
    text = "ORDER NO. A-4711\nCustomer: Dr. Eva Nowak\nQuantity: 12\nWeight = 3,5\nSeller name: Bob & Sons\nReference: none\n"

    values = _values(
        text,
        order_id={"type": "string"},
        customer={"type": "string"},
        quantity={"type": "integer"},
        weight={"type": "number"},
        reference={"type": "string"},
        seller={"type": "object", "properties": {"name": {"type": "string"}}},
    )

    assert values == {
        "order_id": "A-4711",
        "customer": "Dr. Eva Nowak",
        "quantity": 12,
        "weight": 3.5,
        "reference": None,
        "seller": {"name": "Bob & Sons"},
    }


def test_an_enumeration_takes_its_value_only() -> None:
    """The value beside the label is taken; without a label only where it is the single one in the text."""
    status = {"type": "string", "enum": ["open", "closed"]}

    assert _values("The open case. Status: CLOSED", status=status) == {"status": "closed"}
    assert _values("The case is closed.", status=status) == {"status": "closed"}
    assert _values("Open or closed?", status=status) is None


def test_lists_of_values_hold_each_once() -> None:
    """All e-mail addresses of a text, each once, in its order."""
    text = "a@example.com, b@example.org and a@example.com"

    found = _values(text, emails={"type": "array", "items": {"type": "string", "format": "email"}})

    assert found == {"emails": ["a@example.com", "b@example.org"]}


def test_a_customers_fields_are_not_filled_from_the_seller() -> None:
    """The only e-mail address is not the buyer's merely because it is the only one."""
    party = {"type": "object", "properties": {"email": {"type": "string"}, "vat_number": {"type": "string"}}}

    assert _values("Acme GmbH, info@example.com, USt-IdNr. DE136695976", buyer=party) is None


def test_a_missing_required_leaf_means_no_answer() -> None:
    """Fields that break the schema are never handed out."""
    schema = {
        "type": "object",
        "properties": {"total": {"type": "number"}, "signature": {"type": "string"}},
        "required": ["signature"],
    }

    assert _extract("Total: 5.00 EUR", schema) is None


def test_a_value_outside_the_schemas_bounds_is_left_out() -> None:
    """A total above the maximum is dropped; the rest stays."""
    schema = {"type": "object", "properties": {"total": {"type": "number", "maximum": 3}, "iban": {"type": "string"}}}

    found = _extract("Total: 5.00 EUR\nDE89 3704 0044 0532 0130 00", schema)

    assert found is not None
    assert found.fields["total"] is None
    assert found.not_found == ["total"]


def test_what_only_reading_would_find_is_left_out() -> None:
    """Booleans, line items and unlabelled names have no rule, and no value."""
    values: dict[str, dict[str, Any]] = {
        "urgent": {"type": "boolean"},
        "name": {"type": "string"},
        "rows": {"type": "array", "items": {"type": "object", "properties": {"amount": {"type": "number"}}}},
    }

    assert _values("Ann wrote that it is urgent: true. Pens 5.00", **values) is None


def test_what_was_due_before_is_not_the_amount() -> None:
    """A previous balance stands beside "due" like a total, and is not what this document charges."""
    text = "Previous Balance   due $412.25     Fee   $12.37     Amount charged   $424.62     New Balance   $0.00"
    schema = {"type": "object", "properties": {"charged": {"type": "number", "description": "amount charged"}}}
    found = extract(ExtractRequest.model_validate({"text": text, "schema": schema}))
    assert found is not None
    assert found.fields["charged"]["value"] == 424.62
