"""The language of a page: whose choice it is, and how it writes amounts, days, plurals, reasons and refusals."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from domain.phrases import counted, day, listed, moment, money, percent, phrase, role
from domain.refusals import Refusal
from tests.webworld import scenes
from tests.webworld.browsing import Browser, form_of
from tests.webworld.standins import REVIEWED
from tests.webworld.world import Stage
from web.languages import COOKIE, ENGLISH, LANGUAGES, chosen, gettext, ngettext, using
from web.pages import words
from web.problems import Problem
from web.typed_numbers import as_number, to_type

GERMAN, SPANISH = LANGUAGES["de"], LANGUAGES["es"]
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cookie", "accepted", "code"),
    [
        ("", "", "en"),
        ("", "de-AT,de;q=0.9,en;q=0.5", "de"),
        ("", "en;q=0.4, es-MX;q=0.8, fr", "es"),
        ("", "fr-FR, tlh;q=0.9", "en"),
        ("", "de;q=0, es;q=nan, it;q=2, ;;;", "en"),
        ("q2c=x; q2c_language=es", "de", "es"),
        ("q2c_language=tlh", "de", "de"),
        ("q2c_language=../../x", "", "en"),
    ],
)
def test_ones_own_choice_comes_before_the_browsers_and_an_unknown_language_is_english(
    cookie: str, accepted: str, code: str
) -> None:
    assert chosen(cookie, accepted).code == code


def test_amounts_days_and_times_are_written_as_the_reader_does_and_no_digit_is_lost() -> None:
    with using(GERMAN):
        assert words.money(Decimal("19500"), "USD") == "19.500,00 USD"
        assert words.money(Decimal("1045"), "JPY") == "1.045 JPY"
        assert words.money(Decimal("1.0005"), "KWD") == "1,001 KWD"
        assert words.money(Decimal("123456789012345678901234567890.12"), "EUR").startswith("123.456.789.012.345.678")
        assert words.percent(Decimal("23.0769")) == "23,08 %" and words.quantity(Decimal("1500.5")) == "1.500,5"
        assert words.moment(NOW).striptags() == "27. Nov. 2026, 12:00 UTC" and "27. Nov. 2026" in words.day(NOW)
        assert words.distance(NOW + timedelta(hours=3), NOW) == "in 3 Stunden"
        assert words.distance(NOW - timedelta(days=3), NOW) == "überfällig: 3 Tage"
        assert words.inside(words.cause("Refused")) == "Vom System abgelehnt"
    with using(SPANISH):
        assert words.money(Decimal("1234.5"), "EUR") == "1.234,50 EUR"
        assert words.ago(NOW - timedelta(minutes=4), NOW) == "hace 4 minutos"
        assert words.moment(NOW).striptags() == "27 nov 2026, 12:00 UTC"
        assert words.role("sales_manager.usmf") == "Jefe de ventas (USMF)"
    assert words.money(Decimal("19500"), "USD") == "19,500.00 USD"


@pytest.mark.parametrize(
    ("count", "german", "spanish"),
    [(0, "0 offene", "0 pedidos"), (1, "1 offener", "1 pedido "), (2, "2 offene", "2 pedidos")],
)
def test_plurals(count: int, german: str, spanish: str) -> None:
    for language, begins in ((GERMAN, german), (SPANISH, spanish)):
        with using(language):
            said = ngettext("%(count)s open order", "%(count)s open orders", count) % {"count": count}
            assert said.startswith(begins)
            assert str(count) in words.say(
                counted(
                    "an invoice is {count} day overdue, {allowed} are allowed",
                    "an invoice is {count} days overdue, {allowed} are allowed",
                    count,
                    allowed=30,
                )
            )


def test_a_sentence_of_the_rules_is_told_with_its_numbers_in_the_readers_language() -> None:
    said = phrase(
        "Discount {actual} is above the {limit} a {role} may give alone",
        actual=percent("22.5"),
        limit=percent("20"),
        role=role("sales_manager"),
    )
    assert (
        str(said) == words.told(said, str(said)) == "Discount 22.5 % is above the 20 % a sales manager may give alone"
    )
    with using(GERMAN):
        assert words.told(said, str(said)) == (
            "Der Rabatt von 22,5 % liegt über den 20 %, die mit der Rolle Vertriebsleiter allein gegeben werden dürfen"
        )
        held = phrase(
            "Credit held: {reasons}", reasons=listed((phrase("{amount} open", amount=money(Decimal("9"), "KWD")),))
        )
        assert words.told(held, "") == "Kredit gesperrt: 9,000 KWD offen"
        assert words.told(None, "recorded <before>") == '<span lang="en">Recorded &lt;before&gt;</span>'
    with using(SPANISH):
        expired = phrase("The quote expired on {on}. Set the due-by date to today or later.", on=day(date(2026, 11, 2)))
        assert words.told(expired, "").startswith("La oferta caducó el 2 nov 2026.")
        until = phrase("{text}", text="{ not a place } %s")
        assert words.say(until) == "{ not a place } %s"
        assert "27 nov 2026, 12:00 UTC" in words.say(phrase("{text}", text=moment(NOW)))


def test_refusals_are_told_by_code_and_what_is_known_in_english_only_is_marked_so() -> None:
    with using(GERMAN):
        for refusal in Refusal:
            assert words.refusal(refusal) != refusal.sentence
            assert words.refused(Problem(refusal)) == words.refusal(refusal)
        told = words.refused(Problem(Refusal.BAD_ARGUMENT, "limit: <too> large"))
        assert told == f'{words.refusal("BAD_ARGUMENT")} <span lang="en">limit: &lt;too&gt; large</span>'
        assert words.exception("OVER_DELIVERY: 3 of P100").startswith("OVER_DELIVERY: Finance hat mehr geliefert")
        assert gettext("") == ""
    assert (
        words.refused(Problem(Refusal.NOT_FOUND, phrase("Deal {quote} not found.", quote="Q"))) == "Deal Q not found."
    )
    assert Problem(Refusal.NOT_FOUND, phrase("Deal {quote} not found.", quote="Q")).detail == "Deal Q not found."


@pytest.mark.parametrize(
    ("language", "typed", "number"),
    [
        ("en", "1234.5", "1234.5"),
        ("en", "1,234.50", "1234.50"),
        ("en", "1.234", "1.234"),
        ("en", "1,234,567", "1234567"),
        ("en", "1,234", None),
        ("en", "12,5", "12,5"),
        ("de", "1.234,50", "1234.50"),
        ("de", "12,5", "12.5"),
        ("de", "12.5", "12.5"),
        ("de", "1,234", "1.234"),
        ("de", "0.125", "0.125"),
        ("de", "1.234", None),
        ("de", "12.500", None),
        ("de", "1.234.567", "1234567"),
        ("es", "1\u00a0234,5", "1234.5"),
        ("es", "19.500", None),
        ("es", "much", "much"),
        ("es", "1.2.3", "1.2.3"),
        ("de", "٣", "٣"),
    ],
)
def test_a_number_is_read_as_its_writer_means_it_or_asked_about(language: str, typed: str, number: str | None) -> None:
    with using(LANGUAGES[language]):
        if number is None:
            with pytest.raises(Problem, match="can be read in two ways"):
                as_number("amount", typed)
        else:
            assert as_number("amount", typed) == number
        for amount in (Decimal("1.234"), Decimal("12.500"), Decimal("1234.50"), Decimal("1000")):
            assert Decimal(as_number("amount", to_type(amount))) == amount


async def test_a_choice_is_kept_and_leads_back_to_the_page_it_was_made_on(stage: Stage, browser: Browser) -> None:
    REVIEWED["LANG-1"] = ()
    await stage.approval(scenes.request("LANG-1"))
    mona = await browser("mona")
    page = await mona.get("/approvals/usmf/LANG-1/1")
    assert '<html lang="en"' in page.text and page.headers["content-language"] == "en"
    assert "Accept-Language" in page.headers["vary"] and "Cookie" in page.headers["vary"]
    form = form_of(page.text, "/language")
    assert (await mona.post("/language", data={**form, "csrf": "forged", "language": "de"})).status_code == 403
    assert (await mona.post("/language", data={**form, "language": "tlh"})).status_code == 400
    answer = await mona.post("/language", data={**form, "language": "de"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/approvals/usmf/LANG-1/1")
    page = await mona.get("/approvals/usmf/LANG-1/1", headers={"Accept-Language": "es"})
    assert '<html lang="de"' in page.text and page.headers["content-language"] == "de"
    assert "Der Rabatt von 22 % liegt über den 10 %, die ein Vertriebsmitarbeiter allein geben darf" in page.text
    elsewhere = {**form, "next": "https://evil.example/", "language": "de"}
    assert (await mona.post("/language", data=elsewhere)).headers["location"] == "/"
    lost = await mona.get("/cases/usmf/NONE-AT-ALL")
    assert lost.status_code == 404 and "Seite nicht gefunden" in lost.text


async def test_without_a_choice_the_browser_says_the_language_and_programs_get_english(http: httpx.AsyncClient) -> None:
    page = await http.get("/signed-out", headers={"Accept-Language": "es-ES,es;q=0.9"})
    assert '<html lang="es"' in page.text and "Ha cerrado la sesión" in page.text
    problem = (await http.get("/api/v1/cases", headers={"Accept-Language": "es"})).json()
    assert "token" in problem["detail"] or problem["detail"].isascii()
    page = await http.get("/signed-out", headers={"Cookie": f"{COOKIE}={ENGLISH.code}", "Accept-Language": "es"})
    assert '<html lang="en"' in page.text
