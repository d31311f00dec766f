"""The model that says how likely two customers are one: which agreement counts how much, learnt once and kept as data.

It is a Fellegi-Sunter model, trained and applied by Splink. What is compared stands here; how much it counts is in the
file, with a hash, so that a run can be repeated and its weights be read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field
from splink import DuckDBAPI, Linker

from cleansing.faces import BLOCKS
from cleansing.relations import Relations, RelationsError
from domain.record import Record

MOST_RANDOM_PAIRS: Final = 5_000_000
"""Pairs at random from which it is learnt how often strangers agree."""
_SEED: Final = 7
_ERRORS: Final = 40
"""Level of the standard library's logging from which Splink may speak."""
_FOUND_BY_RULES: Final = 0.6
"""Share of all doubles that the certain rules find, as far as anybody knows."""
_LEAST_SEEN: Final = 0.005
"""Share of doubles that is assumed of an agreement which none of those found had."""
_APART: Final = "l.customer <> r.customer"
"""A customer is not compared with itself, however differently it is written."""


class MatchModel(Record):
    """A trained model."""

    version: str = Field(min_length=1, max_length=40)
    trained_on: int = Field(ge=0, description="Faces it was trained on")
    threshold: float = Field(0.95, ge=0.5, le=1, description="Probability from which two customers are taken for one")
    settings: dict[str, Any] = Field(description="As Splink writes them")
    sha256: str = Field(description="Of the settings; another one says that somebody changed them")

    @classmethod
    def of(cls, version: str, trained_on: int, settings: dict[str, Any]) -> MatchModel:
        """A model with its hash."""
        return cls(version=version, trained_on=trained_on, settings=settings, sha256=_digest(settings))

    def check(self) -> None:
        """Refuse a model that is not what was trained.

        Raises:
            RelationsError: its hash is another one.
        """
        if _digest(self.settings) != self.sha256:
            raise RelationsError("the model is not the one that was trained: its hash does not fit; train it again")


def _digest(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _level(condition: str, label: str) -> dict[str, Any]:
    return {"sql_condition": condition, "label_for_charts": label}


def _comparison(name: str, *levels: tuple[str, str], null: str) -> dict[str, Any]:
    first = {"sql_condition": null, "label_for_charts": "not known", "is_null_level": True}
    last = _level("ELSE", f"another {name.replace('_', ' ')}")
    return {"output_column_name": name, "comparison_levels": [first, *(_level(*level) for level in levels), last]}


def _unknown(column: str) -> str:
    return f"{column}_l IS NULL OR {column}_r IS NULL"


COMPARISONS: Final = (
    _comparison(
        "name",
        ("name_l = name_r", "same name"),
        ("damerau_levenshtein(name_l, name_r) <= 1", "name differs by one letter"),
        ("jaro_winkler_similarity(name_l, name_r) >= 0.92", "names alike"),
        null=_unknown("name"),
    ),
    _comparison("tax_number", ("tax_number_l = tax_number_r", "same tax number"), null=_unknown("tax_number")),
    _comparison("phone", ("phone_l = phone_r", "same phone number"), null=_unknown("phone")),
    _comparison(
        "email",
        ("email_l = email_r", "same e-mail address"),
        ("mail_domain_l = mail_domain_r", "same mail domain"),
        null=_unknown("email"),
    ),
    _comparison(
        "address",
        ("address_l = address_r", "same street and postal code"),
        ("postal_code_l = postal_code_r", "same postal code"),
        null=_unknown("address"),
    ),
)
CERTAIN: Final[Mapping[str, tuple[str, ...]]] = {
    "same tax number": ("tax_number",),
    "same name and address": ("name", "address"),
    "same name and e-mail address": ("name", "email"),
}
"""Rules that need no probability: what two customers have in common, each in its normal form."""


def certain(rule: str) -> str:
    """A rule as the condition of a join of faces."""
    return " AND ".join(f"l.{block}_block = r.{block}_block" for block in CERTAIN[rule])


def _blank_settings() -> dict[str, Any]:
    return {
        "link_type": "dedupe_only",
        "unique_id_column_name": "unique_id",
        "comparisons": list(COMPARISONS),
        "blocking_rules_to_generate_predictions": [
            {"blocking_rule": f"l.{block}_block = r.{block}_block AND {_APART}", "sql_dialect": "duckdb"}
            for block in BLOCKS
        ],
        "additional_columns_to_retain": ["customer"],
        "retain_matching_columns": True,
        "retain_intermediate_calculation_columns": True,
    }


def linker(relations: Relations, settings: dict[str, Any], table: str) -> Linker:
    """Splink at work on a table of faces."""
    api = DuckDBAPI(connection=relations.database)
    return Linker(api.register(table), settings, log_level=_ERRORS)


def _smooth(levels: list[dict[str, Any]], pairs: int) -> None:
    """Give what was never seen the share of half a case, and make the shares of a comparison add up to one.

    Splink takes each level's share from whichever passes saw it, and leaves one that none saw without any.
    """
    for name, least in (("m_probability", _LEAST_SEEN), ("u_probability", 0.5 / pairs)):
        known = [level for level in levels if not level.get("is_null_level")]
        shares = [max(level.get(name) or 0, least) for level in known]
        for level, share in zip(known, shares, strict=True):
            level[name] = round(share / sum(shares), 12)


def train(relations: Relations, version: str, *, pairs: int = MOST_RANDOM_PAIRS) -> MatchModel:
    """Learn from the faces of an installation how much each agreement counts; needs no labelled pairs.

    Args:
        relations: with the table `face`.
        version: of the model.
        pairs: taken at random, to learn how often strangers agree.

    Raises:
        RelationsError: there are too few doubles among them to learn from.
    """
    # One face of each customer: how often strangers agree is not to be learnt from a customer and itself.
    relations.database.execute("CREATE OR REPLACE VIEW one_face AS SELECT * FROM face WHERE unique_id = customer")
    learning = linker(relations, _blank_settings(), "one_face")
    training = learning.training
    rules = [f"{certain(rule)} AND {_APART}" for rule in CERTAIN]
    try:
        training.estimate_probability_two_random_records_match(rules, recall=_FOUND_BY_RULES)
        training.estimate_u_using_random_sampling(max_pairs=pairs, seed=_SEED, min_count_per_level=None)
        for block in ("tax_number", "address", "phone"):
            training.estimate_parameters_using_expectation_maximisation(
                f"l.{block}_block = r.{block}_block AND {_APART}", record_sample_proportion=1.0
            )
    except Exception as error:
        raise RelationsError(f"nothing can be learnt from these customers: {error}") from error
    settings = json.loads(json.dumps(learning.misc.save_model_to_json()))
    for comparison in settings["comparisons"]:
        _smooth(comparison["comparison_levels"], pairs)
    ((faces,),) = relations.database.execute("SELECT count(*) FROM face").fetchall()
    return MatchModel.of(version, faces, settings)
