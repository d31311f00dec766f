"""Microsoft Dataverse with Dynamics 365 Sales, simulated: the Web API v9.2 and the rules behind it.

`Dataverse` is the environment, usable in-process; `build_app` serves it.
"""

from __future__ import annotations

from sandbox.dataverse.app import build_app
from sandbox.dataverse.environment import Dataverse
from sandbox.dataverse.errors import DataverseError
from sandbox.dataverse.protection import Limits

__all__ = ["Dataverse", "DataverseError", "Limits", "build_app"]
