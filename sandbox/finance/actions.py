"""The few OData actions the sandbox offers: the versions that clients ask an environment for.

Posting has no action in the standard; it is done by the posting service (`sandbox.finance.posting`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

APPLICATION_VERSION: Final = "10.0.47"
APPLICATION_BUILD: Final = "10.0.2428.63"
PLATFORM_BUILD: Final = "7.0.7690.52"

ACTIONS: Final[Mapping[tuple[str, str], Callable[[], str]]] = {
    ("DataManagementEntities", "GetApplicationVersion"): lambda: APPLICATION_VERSION,
    ("DataManagementEntities", "GetApplicationBuildVersion"): lambda: APPLICATION_BUILD,
    ("DataManagementEntities", "GetPlatformBuildVersion"): lambda: PLATFORM_BUILD,
}
"""(Entity set, action bound to the set) -> its value, text."""
