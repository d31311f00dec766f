"""Files of maps: what is wrong is named with file and field, and a folder of the installation replaces single ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.entities.identity import hash_of
from domain.entities.model import MOST_MAPS
from policies.map_files import PACKAGED, load_maps, with_file
from policies.map_words import as_html, as_markdown

CURRENCIES = (PACKAGED / "currencies.yaml").read_text()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The folder `maps` of an installation."""
    folder = tmp_path / "maps"
    folder.mkdir()
    return folder


def problems(own: Path) -> list[str]:
    return [str(problem).removeprefix(f"{own}/") for problem in load_maps(own.parent).problems]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "currencies.yaml: must be a mapping of names to values"),
        ("- entity: currency\n", "currencies.yaml: must be a mapping of names to values"),
        ("entity: [", "currencies.yaml: not valid YAML"),
        ("a: &x 1\nb: *x\n", "currencies.yaml: not valid YAML: aliases (*name) are not allowed"),
        (CURRENCIES + "fields: {}\n", "currencies.yaml: not valid YAML: 'fields' is written twice; keep one"),
        (
            CURRENCIES.replace("key: [CurrencyCode]", "keys: [CurrencyCode]"),
            "currencies.yaml: finance.key: is missing; add it",
        ),
        (
            CURRENCIES.replace("normal: upper", "form: upper"),
            "currencies.yaml: fields.code.form: is not a setting here; correct its name or remove it",
        ),
        (
            CURRENCIES.replace("owner: FINANCE", "owner: finance", 1),
            "currencies.yaml: fields.code.owner: must be 'FINANCE'",
        ),
        (CURRENCIES.replace("CurrencyCode,", "Currency Code,"), "currencies.yaml: fields.code.finance: "),
        (
            CURRENCIES.replace("frequency: hourly", "frequency: nightly"),
            "currencies.yaml: frequency: the pattern sync is",
        ),
        (
            CURRENCIES.replace("owner: FINANCE", "owner: SALES", 1),
            "currencies.yaml: fields.code.owner: SALES writes Finance, which the direction to_sales does not",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_named_with_its_field(own: Path, text: str, says: str) -> None:
    (own / "currencies.yaml").write_text(text)
    found = problems(own)
    assert any(problem.startswith(says) for problem in found), found
    assert all(problem.startswith("currencies.yaml") for problem in found)


def test_a_file_replaces_the_packaged_one_of_its_name_and_another_is_added(own: Path) -> None:
    (own / "currencies.yaml").write_text(CURRENCIES.replace("frequency: hourly", "frequency: five_minutes"))
    (own / "regions.yaml").write_text(
        CURRENCIES.replace("entity: currency", "entity: region").replace("Currencies", "R")
    )
    (own / "README.md").write_text("ours")
    maps, packaged = load_maps(own.parent), load_maps()
    assert maps.problems == ()
    assert len(maps.files) == len(packaged.files) + 1
    changed, before = maps.of("currency"), packaged.of("currency")
    assert changed and before and changed.file == own / "currencies.yaml"
    assert hash_of(changed.data) != hash_of(before.data)
    assert load_maps(own) == packaged, "a folder of policies without maps has the packaged ones"


def test_two_files_of_one_entity_are_refused_with_both_names(own: Path) -> None:
    (own / "money.yaml").write_text(CURRENCIES)
    packaged = PACKAGED / "currencies.yaml"
    (found,) = problems(own)
    assert (
        found
        == f"money.yaml: entity: currency is also the entity of {packaged}; keep one, or give it the same file name"
    )
    assert with_file(load_maps(), own / "money.yaml").problems == (), "one file is looked at in the other's place"


def test_names_and_numbers_that_would_be_lost_are_told(own: Path) -> None:
    (own / "money.yml").write_text(CURRENCIES)
    assert problems(own) == ["money.yml: not read; the name of a map ends in .yaml"]
    (own / "money.yml").unlink()
    for number in range(MOST_MAPS):
        (own / f"m{number}.yaml").write_text("")
    assert f"{MOST_MAPS} are read at most" in problems(own)[0]


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "maps").write_text("no folder")
    (found,) = load_maps(tmp_path).problems
    assert str(found) == f"{tmp_path}/maps: cannot be read: Not a directory"
    (found,) = load_maps(tmp_path / "nowhere").problems
    assert str(found) == f"{tmp_path}/nowhere: cannot be read: No such file or directory"


def test_a_page_says_each_field_of_each_map_and_takes_no_text_for_markup(own: Path) -> None:
    maps = load_maps().all
    page, text = as_html(maps), as_markdown(maps)
    for data in maps:
        assert f'<section id="{data.entity}"' in page and f"# {data.title}\n" in text
        assert page.count("<td data-name=") == 4 * sum(len(each.fields) for each in maps)
        for field in data.fields.values():
            assert f"<code>{field.finance}</code>" in page
    assert "<script" not in page and "http" not in page
    (own / "currencies.yaml").write_text(CURRENCIES.replace("title: Currencies", "title: '<b>|*Money*'"))
    changed = load_maps(own.parent).of("currency")
    assert changed
    assert "&lt;b&gt;|*Money*" in as_html((changed.data,))
    assert r"# \<b\>\|\*Money\*" in as_markdown((changed.data,))
