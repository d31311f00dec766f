"""The web application of the real code, as ``tests.webworld`` sets it up."""

from __future__ import annotations

from tests.webworld.world import app, config, http, stage, temporal, tenant

__all__ = ["app", "config", "http", "stage", "temporal", "tenant"]
