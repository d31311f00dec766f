"""The language a page is read in: whose choice it is, its catalogue, and how it writes numbers and days.

English stands in the code and the templates; what other languages say for it stands in ``web/locale``, one file of
messages each, read when the language is first needed. The language of a request is kept beside it, not passed through
every function: a filter of a template, and whatever words a page needs, ask ``current``.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE: Final = "q2c_language"
KEPT_SECONDS: Final = 365 * 24 * 3600
CATALOGUES: Final = Path(__file__).parent / "locale"


@dataclass(frozen=True)
class Language:
    """A language of the site."""

    code: str
    name: str
    """As its speakers call it."""
    day: str
    """How a day is written, in CLDR's letters (d, MMM, y)."""

    @cached_property
    def locale(self) -> Locale:
        """Its numbers, days and plurals."""
        return Locale.parse(self.code)

    @cached_property
    def catalogue(self) -> NullTranslations:
        """What it says for each message of the source."""
        return NullTranslations() if self.code == ENGLISH.code else _read(self.code)

    @property
    def decimal_mark(self) -> str:
        """What stands before the decimals."""
        return str(self.locale.number_symbols["latn"]["decimal"])

    @property
    def group_mark(self) -> str:
        """What stands between thousands."""
        return str(self.locale.number_symbols["latn"]["group"])


ENGLISH: Final = Language("en", "English", "d MMM y")
LANGUAGES: Final = {
    language.code: language
    for language in (ENGLISH, Language("de", "Deutsch", "d. MMM y"), Language("es", "Español", "d MMM y"))
}
_CURRENT: ContextVar[Language] = ContextVar("language", default=ENGLISH)


@cache
def _read(code: str) -> Translations:
    """The catalogue of a language, compiled in memory: a clone and an image need no step for it."""
    with next((CATALOGUES / code).rglob("messages.po")).open("rb") as file:
        catalogue = read_po(file, locale=code)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)


def current() -> Language:
    """The language of the page that is being made."""
    return _CURRENT.get()


@contextmanager
def using(language: Language) -> Iterator[None]:
    """Make what is within in a language."""
    token = _CURRENT.set(language)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def gettext(message: str) -> str:
    """A message of the source in the reader's language."""
    return str(current().catalogue.ugettext(message)) if message else ""


def ngettext(one: str, many: str, count: int) -> str:
    """A message of which there are so many, in the reader's language."""
    return str(current().catalogue.ungettext(one, many, count))


def is_translated(message: str) -> bool:
    """Whether the reader's language says something for a text."""
    return current() is ENGLISH or gettext(message) != message


def chosen(cookie: str, accepted: str) -> Language:
    """The language of a reader: their own choice, else the best of what their browser asks for, else English.

    Args:
        cookie: the header Cookie.
        accepted: the header Accept-Language (RFC 9110, 12.5.4).
    """
    return LANGUAGES.get(_kept(cookie)) or next(_wanted(accepted), ENGLISH)


def _kept(cookie: str) -> str:
    for pair in cookie.split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _wanted(accepted: str) -> Iterator[Language]:
    ranked: list[tuple[float, int, str]] = []
    for place, entry in enumerate(accepted[:1000].split(",")):
        tag, _, weight = entry.strip().partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if 0 < quality <= 1:
            ranked.append((-quality, place, tag.strip().lower().partition("-")[0]))
    for _, _, code in sorted(ranked):
        if code in LANGUAGES:
            yield LANGUAGES[code]


class Languages:
    """Finds the language of each request before anything is made for it."""

    def __init__(self, app: ASGIApp, for_programs: Iterable[str]) -> None:
        """Wrap an application; addresses that begin like one of ``for_programs`` are answered in English."""
        self._app = app
        self._for_programs = tuple(for_programs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on within its language."""
        if scope["type"] != "http" or scope["path"].startswith(self._for_programs):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        with using(chosen(headers.get("cookie", ""), headers.get("accept-language", ""))):
            await self._app(scope, receive, send)
