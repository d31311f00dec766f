"""The composition root: where settings and policies become clients, activities and workflows.

Every other module takes what it needs as arguments; only here is it decided which implementation stands behind which
name.
"""

from __future__ import annotations

import policies
from domain.policy import Policy
from dynamics.auth import Credentials
from dynamics.dataverse import Dataverse, DataverseSettings
from dynamics.finance import Finance, FinanceSettings
from dynamics.odata import Endpoint
from workers.settings import Settings


def load_policy(settings: Settings) -> Policy:
    """The rules in force.

    Raises:
        PolicyError: a file is missing or wrong; the text names file, field and remedy.
    """
    return policies.load(settings.policies)


def companies(settings: Settings) -> dict[str, str]:
    """Name of the owning business unit of a quote → legal entity in Finance, lower case."""
    return dict(load_policy(settings).entity_map.business_units)


def explain_policy(settings: Settings) -> str:
    """The rules in force, in words."""
    return policies.explain(load_policy(settings))


def dataverse(settings: Settings) -> Dataverse:
    """A client of Dynamics 365 Sales; close it with `aclose`."""
    return Dataverse(DataverseSettings(_endpoint(settings.dataverse.url, settings), credentials(settings)))


def finance(settings: Settings) -> Finance:
    """A client of Dynamics 365 Finance; close it with `aclose`."""
    numbering = load_policy(settings).entity_map.order_numbers
    automatic = frozenset(company for company, numbers in numbering.items() if numbers == "automatic")
    endpoint = _endpoint(settings.finance.url, settings)
    return Finance(FinanceSettings(endpoint, credentials(settings), automatic_numbers=automatic))


def _endpoint(url: str, settings: Settings) -> Endpoint:
    return Endpoint(url, ca_file=str(settings.ca_file) if settings.ca_file else None)


def credentials(settings: Settings) -> Credentials:
    """The worker's app registration, as Entra ID knows it."""
    return Credentials(
        authority=settings.entra.authority,
        client_id=settings.entra.client_id,
        client_secret=settings.entra.client_secret.get_secret_value(),
        ca_file=str(settings.ca_file) if settings.ca_file else None,
        instance_discovery=settings.entra.instance_discovery,
    )
