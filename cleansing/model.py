"""The model that says how likely two customers are one: which agreement counts how much, learnt once and kept as data.

It is a Fellegi-Sunter model, trained and applied by Splink. What is compared stands here; how much it counts is in the
file, with a hash, so that a run can be repeated and its weights be read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

from pydantic import Field, ValidationError
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


class Level(Record):
    """One way in which two customers agree or differ, and the share of pairs that do."""

    label: str
    m: float = Field(gt=0, le=1, description="Of pairs that are one customer")
    u: float = Field(gt=0, le=1, description="Of pairs that are strangers")


class MatchModel(Record):
    """A trained model: numbers alone. What they are numbers of is `COMPARISONS`."""

    version: str = Field(min_length=1, max_length=40)
    trained_on: int = Field(ge=0, description="Customers it was trained on")
    threshold: float = Field(0.95, ge=0.5, le=1, description="Probability from which two customers are taken for one")
    prior: float = Field(gt=0, lt=1, description="Share of all pairs that are one customer")
    levels: dict[str, tuple[Level, ...]] = Field(description="By comparison, the closest agreement first")
    sha256: str = Field(description="Of all that a score depends on; another one says that somebody changed it")

    @classmethod
    def of(cls, version: str, trained_on: int, prior: float, levels: dict[str, tuple[Level, ...]]) -> MatchModel:
        """A model with its hash."""
        made = cls(version=version, trained_on=trained_on, prior=prior, levels=levels, sha256="")
        return made.model_copy(update={"sha256": made.digest})

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of what a score depends on."""
        content = self.model_dump(mode="json", include={"threshold", "prior", "levels"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def settings(self) -> dict[str, Any]:
        """As Splink takes it.

        Raises:
            RelationsError: its hash is another one, or it is of other comparisons than these.
        """
        if self.digest != self.sha256:
            raise RelationsError("the model is not the one that was trained: its hash does not match; train it again")
        settings = _blank_settings()
        settings["probability_two_random_records_match"] = self.prior
        for comparison in settings["comparisons"]:
            levels = self.levels.get(str(comparison["output_column_name"]), ())
            blank = _counted(comparison)
            if [level.label for level in levels] != [each["label_for_charts"] for each in blank]:
                raise RelationsError(
                    "the model was trained for other comparisons than this version makes; train it again"
                )
            for each, level in zip(blank, levels, strict=True):
                each |= {"m_probability": level.m, "u_probability": level.u}
        return settings


def read_model(text: str, where: str) -> MatchModel:
    """The model of a file's text.

    Raises:
        RelationsError: it is none; the text names ``where`` it stands.
    """
    try:
        return MatchModel.model_validate_json(text)
    except ValidationError as error:
        raise RelationsError(f"{where}: not a model that q2c match train wrote") from error


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
    "same name and mail domain": ("name", "mail_domain"),
}
"""Rules that need no probability: what two customers have in common, each in its normal form; not by the first of it
alone where too many share it, nor by a mail domain that is public.
"""


def certain(rule: str) -> str:
    """A rule as the condition of a join of faces."""
    first, *others = CERTAIN[rule]
    return " AND ".join((f"l.{first}_block = r.{first}_block", *(f"l.{other} = r.{other}" for other in others)))


def _blank_settings() -> dict[str, Any]:
    return {
        "link_type": "dedupe_only",
        "unique_id_column_name": "unique_id",
        "comparisons": deepcopy(list(COMPARISONS)),
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


def _counted(comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The levels of a comparison that say something, the closest agreement first."""
    return [level for level in comparison["comparison_levels"] if not level.get("is_null_level")]


def _levels(comparison: Mapping[str, Any], pairs: int) -> tuple[Level, ...]:
    """What was learnt of a comparison: shares that add up to one, with half a case for what was never seen.

    Splink takes each level's share from whichever passes saw it, and leaves one that none saw without any.
    """
    learnt = _counted(comparison)
    m = [max(level.get("m_probability") or 0, _LEAST_SEEN) for level in learnt]
    u = [max(level.get("u_probability") or 0, 0.5 / pairs) for level in learnt]
    return tuple(
        Level(label=level["label_for_charts"], m=round(one / sum(m), 12), u=round(other / sum(u), 12))
        for level, one, other in zip(learnt, m, u, strict=True)
    )


def train(relations: Relations, version: str, *, pairs: int = MOST_RANDOM_PAIRS) -> MatchModel:
    """Learn from the faces of an installation how much each agreement counts; needs no labelled pairs.

    Args:
        relations: with the table `face`.
        version: of the model.
        pairs: taken at random, to learn how often strangers agree; all of them where there are fewer.

    Raises:
        RelationsError: there are too few doubles among them to learn from.
    """
    # One face of each customer: how often strangers agree is not to be learnt from a customer and itself.
    relations.database.execute("CREATE OR REPLACE VIEW one_face AS SELECT * FROM face WHERE unique_id = customer")
    ((customers,),) = relations.database.execute("SELECT count(*) FROM one_face").fetchall()
    pairs = min(pairs, customers * (customers - 1) // 2)
    learning = linker(relations, _blank_settings(), "one_face")
    training = learning.training
    rules: list[Any] = [f"{certain(rule)} AND {_APART}" for rule in CERTAIN]
    try:
        training.estimate_probability_two_random_records_match(rules, recall=_FOUND_BY_RULES)
        training.estimate_u_using_random_sampling(max_pairs=pairs, seed=_SEED, min_count_per_level=None)
        for block in ("tax_number", "address", "phone"):
            training.estimate_parameters_using_expectation_maximisation(
                f"l.{block}_block = r.{block}_block AND {_APART}", record_sample_proportion=1.0
            )
    except Exception as error:
        raise RelationsError(f"nothing can be learnt from these customers: {error}") from error
    learnt = learning.misc.save_model_to_json()
    levels = {each["output_column_name"]: _levels(each, pairs) for each in learnt["comparisons"]}
    return MatchModel.of(version, customers, round(learnt["probability_two_random_records_match"], 15), levels)
