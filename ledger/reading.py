"""The audit as the web application reads it: opened when it is first asked for, and for reading only.

The database itself refuses a change through this opening, so that a page that shows the audit can never write to it.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import zipfile
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from domain.audit import AuditKind
from domain.rights import ConflictFound
from ledger.opening import Opening, answered

if TYPE_CHECKING:
    from ledger.reads import AuditReader, AuditRow, Checked
    from ledger.reports import Grant, Limits
    from ledger.review import Period, Review

MOST_EXPORTED: Final = 50_000
"""Records of one download; more are for `q2c audit export`, which has a disk to itself."""


class TooManyRecords(Exception):
    """A period has more records than a download holds; the text says how many."""


class AuditReading(Opening):
    """The audit, read only."""

    _read_only = True

    async def companies(self) -> list[str]:
        """Companies with records.

        Raises:
            LedgerAway: asked again, it is tried again.
        """
        return await answered((await self._reader()).companies())

    async def newest(
        self,
        company: str,
        *,
        deal_id: str,
        kind: AuditKind | None,
        person: str,
        since: datetime | None,
        until: datetime | None,
        before_seq: int | None,
        limit: int,
    ) -> list[AuditRow]:
        """Records, the newest first, as `ledger.reads.AuditReader.newest`. Raises LedgerAway as `companies`."""
        reader = await self._reader()
        return await answered(
            reader.newest(
                company,
                deal_id=deal_id,
                kind=kind,
                person=person,
                since=since,
                until=until,
                before_seq=before_seq,
                limit=limit,
            )
        )

    async def check(self, company: str, first_seq: int, last_seq: int | None) -> Checked:
        """Check a stretch, as `ledger.reads.AuditReader.check`. Raises LedgerAway as `companies`."""
        return await answered((await self._reader()).check(company, first_seq, last_seq))

    async def review(
        self,
        period: Period,
        *,
        grants: Sequence[Grant],
        conflicts: Sequence[ConflictFound],
        limits: Limits,
        release_limits: Limits,
        known: Mapping[str, Collection[str]],
    ) -> Review:
        """The five reports, as `ledger.review.review`. Raises LedgerAway as `companies`."""
        reader = await self._reader()
        from ledger.review import review

        return await answered(
            review(
                reader,
                period,
                grants=grants,
                conflicts=conflicts,
                limits=limits,
                release_limits=release_limits,
                known=known,
            )
        )

    async def export(self, period: Period, form: Literal["jsonl", "csv"], key_file: Path) -> SignedExport:
        """Write the records of a period and their signature into an archive; remove it when it was sent.

        Args:
            period: company and time.
            form: JSON Lines or CSV.
            key_file: private key that signs.

        Raises:
            TooManyRecords: the period has more than ``MOST_EXPORTED``.
            ledger.export.ExportRefused: there is nothing to export, or a record is damaged.
            ledger.signing.SignatureWrong: the key cannot be used.
            LedgerAway: asked again, it is tried again.
        """
        reader = await self._reader()
        from ledger.export import export
        from ledger.signing import AuditSigner

        count = await answered(reader.count(period.company, since=period.since, until=period.until))
        if count > MOST_EXPORTED:
            raise TooManyRecords(f"{count:,} records, and a download holds {MOST_EXPORTED:,}")
        signer = await asyncio.to_thread(AuditSigner.from_file, key_file)
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="q2c-audit-"))
        made = SignedExport(folder)
        try:
            file = folder / f"audit-{period.company}-{period.since:%Y-%m-%d}.{form}"
            work = export(
                reader, signer, file, company=period.company, since=period.since, until=period.until, form=form
            )
            done = await answered(work)
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
