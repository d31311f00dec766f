"""The audit as the web application reads it: opened when it is first asked for, and for reading only.

The database itself refuses a change through this opening, so that a page that shows the audit can never write to it.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from ledger.opening import PAGE_SECONDS, LedgerAway, Opening, answered

if TYPE_CHECKING:
    from ledger.reads import AuditReader
    from ledger.review import Period
    from ledger.signing import AuditSigner

T = TypeVar("T")

MOST_EXPORTED: Final = 50_000
"""Records of one download; more are for `q2c audit export`, which has a disk to itself."""


EXPORT_SECONDS: Final = 120.0
"""How long the records of one download may take to be read and written."""


class TooManyRecords(Exception):
    """A period has more records than a download holds; the text says how many."""


class AuditReading(Opening):
    """The audit, read only."""

    _read_only = True

    async def ask(self, question: Callable[[AuditReader], Awaitable[T]], *, seconds: float = PAGE_SECONDS) -> T:
        """What a reader of the audit answers to ``question``.

        Args:
            question: is asked of the reader.
            seconds: how long it may take, the opening included.

        Raises:
            LedgerAway: the database does not answer, or not in time; asked again, it is tried again.
        """
        try:
            async with asyncio.timeout(seconds):
                return await answered(question(await self._reader()))
        except TimeoutError as error:
            raise LedgerAway(f"the ledger does not answer within {seconds:.0f} s") from error

    async def export(self, period: Period, form: Literal["jsonl", "csv"], signer: AuditSigner) -> SignedExport:
        """Write the records of a period and their signature into an archive; remove it when it was sent.

        Args:
            period: company and time.
            form: JSON Lines or CSV.
            signer: signs the file.

        Raises:
            TooManyRecords: the period has more than ``MOST_EXPORTED``.
            ledger.export.ExportRefused: there is nothing to export, or a record is damaged.
            ledger.signing.KeyAway: the key does not sign at the moment.
            LedgerAway: asked again, it is tried again.
        """
        from ledger.export import export

        count = await self.ask(lambda reader: reader.count(period.company, since=period.since, until=period.until))
        if count > MOST_EXPORTED:
            raise TooManyRecords(f"{count:,} records, and a download holds {MOST_EXPORTED:,}")
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="q2c-audit-"))
        made = SignedExport(folder)
        try:
            file = folder / f"audit-{period.company}-{period.since:%Y-%m-%d}.{form}"
            company, since, until = period.company, period.since, period.until
            done = await self.ask(
                lambda reader: export(reader, signer, file, company=company, since=since, until=until, form=form),
                seconds=EXPORT_SECONDS,
            )
            await asyncio.to_thread(_packed, made.archive, file, done.signature_file)
        except BaseException:
            made.remove()
            raise
        made.records = done.records
        return made

    async def _reader(self) -> AuditReader:
        database = await self._opened()
        from ledger.reads import AuditReader

        return AuditReader(database)


class SignedExport:
    """An archive with an export and its signature, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        """The archive stands in ``folder``, which goes with it."""
        self._folder = folder
        self.archive = folder / "export.zip"
        self.records = 0

    def remove(self) -> None:
        """Remove it."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _packed(archive: Path, *files: Path) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        for file in files:
            made.write(file, file.name)
            file.unlink()
