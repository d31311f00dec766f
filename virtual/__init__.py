"""Reads of Finance for Dataverse's virtual tables: an OData v4 service that has no verb that writes."""

from __future__ import annotations
