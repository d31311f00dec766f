"""Reading in bulk: clients that can read and nothing else, as an application of its own."""

from __future__ import annotations
