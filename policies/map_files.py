"""Loads the maps of integration data: a file each, the packaged ones and those of the installation.

The folder `maps` in the folder that `Q2C_POLICIES` names replaces packaged maps by files of the same name, and may add
more. Unlike the other policies no decision of a deal depends on them: they have no part in the policies' version, and
each has a hash of its own. What is in force says the ledger, once it knows a map (`in_force`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from domain.entities.identity import hash_of
from domain.entities.model import MOST_MAPS, DataMap
from policies.loading import Problem, read_model

PACKAGED: Final = Path(__file__).parent / "maps"
FOLDER: Final = "maps"
LEDGER: Final = "ledger"
"""In place of a file, where there is none."""


@dataclass(frozen=True)
class MapFile:
    """A map and where it stands."""

    file: Path
    data: DataMap
    differs: bool = False
    """The file says something else than what is in force."""


@dataclass(frozen=True)
class Maps:
    """What files come to.

    Attributes:
        files: by the name of the file, the maps that can be read.
        problems: all that is wrong with the files.
    """

    files: tuple[MapFile, ...]
    problems: tuple[Problem, ...]

    @property
    def all(self) -> tuple[DataMap, ...]:
        """The maps."""
        return tuple(found.data for found in self.files)

    def of(self, entity: str) -> MapFile | None:
        """The map of an entity; None: there is none."""
        return next((found for found in self.files if found.data.entity == entity), None)


def in_force(files: Maps, kept: Mapping[str, DataMap]) -> Maps:
    """The maps in force: those the ledger has, else what a file says; words are those of a file that does the same."""
    given = {found.data.entity: found for found in files.files}
    maps = []
    for entity, found in given.items():
        data = kept.get(entity, found.data)
        same = hash_of(data) == hash_of(found.data)
        maps.append(found if same else MapFile(found.file, data, differs=True))
    maps += [MapFile(Path(LEDGER), data, differs=True) for entity, data in kept.items() if entity not in given]
    return Maps(tuple(maps), files.problems)


def load_maps(policies: Path | None = None) -> Maps:
    """What the files of maps say.

    Args:
        policies: folder of the installation's policies; None for the packaged maps alone.
    """
    paths = {file.name: file for file in sorted(PACKAGED.glob("*.yaml"))}
    problems: list[Problem] = []
    try:
        own = _own_files(policies)
    except OSError as error:
        return Maps((), (Problem(error.filename or str(policies), "", f"cannot be read: {error.strerror}"),))
    for file in own:
        if file.suffix == ".yaml":
            paths[file.name] = file
        elif file.suffix == ".yml":
            problems.append(Problem(str(file), "", "not read; the name of a map ends in .yaml"))
    if len(paths) > MOST_MAPS:
        problems.append(Problem(str(policies), "", f"{len(paths)} maps; {MOST_MAPS} are read at most"))
    read, wrong = _read(list(paths.values())[:MOST_MAPS])
    return Maps(read, (*problems, *wrong, *_doubled(read)))


def _own_files(policies: Path | None) -> list[Path]:
    """What is in the folder of maps of an installation; nothing where its policies have none.

    Raises:
        OSError: the folder cannot be read; a folder of policies that is none is one of these.
    """
    if policies is None or FOLDER not in {file.name for file in policies.iterdir()}:
        return []
    return sorted((policies / FOLDER).iterdir())


def with_file(maps: Maps, file: Path) -> Maps:
    """Maps in which that of a file stands in the place of the one of the same entity, or beside the others."""
    read, problems = _read([file])
    entities = {found.data.entity for found in read}
    others = tuple(found for found in maps.files if found.data.entity not in entities)
    return Maps((*others, *read), problems)


def _read(files: Iterable[Path]) -> tuple[tuple[MapFile, ...], tuple[Problem, ...]]:
    read: list[MapFile] = []
    problems: list[Problem] = []
    for file in files:
        data, wrong = read_model(file, DataMap)
        problems += [_placed(problem) for problem in wrong]
        if isinstance(data, DataMap):
            read.append(MapFile(file, data))
    return tuple(read), tuple(problems)


def _placed(problem: Problem) -> Problem:
    """A problem of the map as a whole that names its field itself: `fields.name.owner: …`."""
    field, colon, text = problem.text.partition(": ")
    if problem.field or not colon or not field.replace("_", "").replace(".", "").isalnum():
        return problem
    return Problem(problem.file, field, text, problem.rule)


def _doubled(files: Iterable[MapFile]) -> Iterator[Problem]:
    seen: dict[str, Path] = {}
    for found in files:
        first = seen.setdefault(found.data.entity, found.file)
        if first is not found.file:
            text = f"{found.data.entity} is also the entity of {first}; keep one, or give it the same file name"
            yield Problem(str(found.file), "entity", text)
