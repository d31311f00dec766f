"""Pages of records that were read in bulk: Parquet files that never change, each with a manifest beside it.

A page is there once its manifest is: both are written under another name and renamed, the manifest last. Whoever was
killed in between reads that one page again, and whoever finds a manifest reads nothing. The manifest has the hash of
the file, and a page that is not what its manifest says is refused.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from domain.record import Record

_NAME: Final = re.compile(r"^[a-z0-9][a-z0-9_.-]{0,80}$")
_PLACE: Final = re.compile(r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,120}(/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,120}){0,6}$")


class PageDamaged(Exception):
    """A page is not what its manifest says; the text names it."""


class Manifest(Record):
    """What is known of a page.

    Attributes:
        file: name of the Parquet file beside the manifest.
        sha256: of the file, hex.
        rows: how many it holds.
        read_at: when the system was asked, ISO 8601, UTC.
        next_link: where the next page begins; empty: it was the last.
    """

    file: str
    sha256: str
    rows: int
    read_at: str = ""
    next_link: str = ""


class Pages:
    """The pages of one run, in a folder of their own."""

    def __init__(self, data_dir: Path, place: str) -> None:
        """Nothing is made yet.

        Args:
            data_dir: of the installation.
            place: of the run below it.

        Raises:
            ValueError: ``place`` is no path below a folder.
        """
        if not _PLACE.fullmatch(place):
            raise ValueError(f"{place!r} is no place of pages")
        self.folder = data_dir / place

    def manifest(self, name: str) -> Manifest | None:
        """The manifest of a page, whose file is as it says; None: the page is not there yet.

        Raises:
            PageDamaged: the file is not what the manifest says.
        """
        path = self._path(name, "json")
        if not path.is_file():
            return None
        found = Manifest.model_validate_json(path.read_bytes())
        file = path.parent / found.file
        if not file.is_file() or sha256_of(file) != found.sha256:
            raise PageDamaged(f"{file} is not what {path.name} says: remove both, and it is read again")
        return found

    def manifests(self, kind: str) -> dict[str, Manifest]:
        """All pages whose name begins so, by name. Raises as ``manifest``."""
        found = {}
        for path in sorted(self.folder.glob(f"{kind}-*.json")):
            manifest = self.manifest(path.stem)
            assert manifest is not None
            found[path.stem] = manifest
        return found

    def files(self, kind: str) -> list[str]:
        """The Parquet files of all pages whose name begins so. Raises as ``manifest``."""
        return [str(self.folder / manifest.file) for manifest in self.manifests(kind).values()]

    def write(
        self,
        name: str,
        columns: Iterable[str],
        rows: Iterable[Mapping[str, str | None]],
        *,
        read_at: str = "",
        next_link: str = "",
    ) -> Manifest:
        """Write a page; all of its columns are text.

        Args:
            name: of the page, e.g. ``finance-00012``.
            columns: names.
            rows: a value for each column.
            read_at: when the system was asked.
            next_link: where the next page begins.
        """
        wanted = tuple(columns)
        lists: dict[str, list[str | None]] = {column: [] for column in wanted}
        for row in rows:
            for column in wanted:
                lists[column].append(row[column])
        table = pa.table({column: pa.array(values, pa.string()) for column, values in lists.items()})
        target = self._path(name, "parquet")
        target.parent.mkdir(parents=True, exist_ok=True)
        made = target.with_suffix(".making")
        pq.write_table(table, made, compression="zstd")
        return self._seal(name, made, table.num_rows, read_at, next_link)

    def seal(self, name: str, made: Path, rows: int) -> Manifest:
        """Keep a Parquet file that somebody else wrote as a page."""
        return self._seal(name, made, rows, "", "")

    def making(self, name: str) -> Path:
        """Where somebody else may write the file of a page."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self._path(name, "making")

    def note(self, name: str, content: Record) -> None:
        """Keep a small record beside the pages, whole or not at all."""
        self._replace(self._path(name, "note"), content.model_dump_json().encode())

    def noted(self, name: str, kind: type[Any]) -> Any:
        """A record that was kept; None: there is none."""
        path = self._path(name, "note")
        return kind.model_validate_json(path.read_bytes()) if path.is_file() else None

    def remove_abandoned(self, older_than: timedelta) -> None:
        """Remove the pages of other runs beside this one that nobody has written to for so long: they failed."""
        limit = time.time() - older_than.total_seconds()
        for other in self.folder.parent.glob("*/"):
            if other != self.folder and max(map(_written, (other, *other.iterdir())), default=0) < limit:
                shutil.rmtree(other, ignore_errors=True)

    def remove(self) -> None:
        """Remove all of them: they hold personal data, and are only needed while a run lasts."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def remove_kind(self, kind: str) -> None:
        """Remove all pages whose name begins so; of each its manifest first, so that none is there by half."""
        for suffix in ("json", "parquet"):
            for path in self.folder.glob(f"{kind}-*.{suffix}"):
                path.unlink(missing_ok=True)

    def _seal(self, name: str, made: Path, rows: int, read_at: str, next_link: str) -> Manifest:
        target = self._path(name, "parquet")
        found = Manifest(file=target.name, sha256=sha256_of(made), rows=rows, read_at=read_at, next_link=next_link)
        _flush(made)
        made.replace(target)
        self._replace(self._path(name, "json"), found.model_dump_json().encode())
        return found

    def _replace(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_suffix(f"{path.suffix}.making")
        made.write_bytes(content)
        _flush(made)
        made.replace(path)

    def _path(self, name: str, suffix: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a page")
        return self.folder / f"{name}.{suffix}"


def _written(path: Path) -> float:
    """When a file was written; 0 where it is gone meanwhile."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sha256_of(path: Path) -> str:
    """Of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
