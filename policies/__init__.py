"""The policies' files: loaded into one checked value, explained to people, and turned into the dates of a request.

Who holds which role besides is read from an export of the directory (``domain.directory``). What the rules say of a
quote in a file, and which quotes two versions of them decide otherwise, is in ``policies.what_if`` and
``policies.comparison``.
"""

from __future__ import annotations

from policies.explanation import as_data, as_text
from policies.loading import FILES, dunning, load, notices, parallel, retention
from policies.public_holidays import business_hours

__all__ = ["FILES", "as_data", "as_text", "business_hours", "dunning", "load", "notices", "parallel", "retention"]
