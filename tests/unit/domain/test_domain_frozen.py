"""A state with changed fields is what ``dataclasses.replace`` makes of it."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil

import pytest

import domain
from domain.frozen import replace
from tests.deals import T0, new_deal


def test_it_is_the_same_with_other_fields_and_leaves_the_first_alone() -> None:
    before = new_deal()
    kept = dataclasses.asdict(before)
    after = replace(before, version=7, waiting_since=T0, exceptions=("E",))
    assert after == dataclasses.replace(before, version=7, waiting_since=T0, exceptions=("E",))
    assert dataclasses.asdict(before) == kept
    assert replace(before) == before and replace(before) is not before


def test_a_field_that_there_is_not_is_named() -> None:
    with pytest.raises(TypeError, match="DealState has no field curency, verison"):
        replace(new_deal(), verison=7, curency="USD")  # type: ignore[call-arg]  # mypy finds it first


def test_no_dataclass_of_the_rules_computes_anything_when_it_is_made() -> None:
    """``replace`` would leave it out."""
    for module in pkgutil.walk_packages(domain.__path__, "domain."):
        for kind in vars(importlib.import_module(module.name)).values():
            if isinstance(kind, type) and dataclasses.is_dataclass(kind):
                assert not hasattr(kind, "__post_init__"), kind
