"""What a setting may be: an origin, a secret, a path, and the group it stands in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

SANDBOX_SECRET = "sandbox-only-secret"  # noqa: S105  # public, and refused in production


def _origin(value: object) -> object:
    """An origin: scheme and host, lower case, no trailing slash, as token audiences must be written."""
    if not isinstance(value, str):
        return value
    example = "must be an origin such as https://contoso.crm.dynamics.com, with no path"
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError as error:
        raise ValueError(example) from error
    if not usable or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(example)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _not_empty(value: object) -> object:
    if value == "":
        raise ValueError("must not be empty; remove the variable to have its default")
    return value


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


Origin = Annotated[str, BeforeValidator(_origin)]
Text = Annotated[str, BeforeValidator(_not_empty)]
Secret = Annotated[SecretStr, BeforeValidator(_not_empty)]
FilePath = Annotated[Path, BeforeValidator(_not_empty)]
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_empty_is_none)]
OptionalPath = Annotated[Path | None, BeforeValidator(_empty_is_none)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Group(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)
