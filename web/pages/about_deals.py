"""What the pages of a deal and of its requests for approval have in common."""

from __future__ import annotations

from dataclasses import dataclass

from runs.deals import Deals
from runs.reviews import Reviews
from runs.search import Search
from web.access import Access
from web.decisions import Decisions
from web.links import Dynamics
from web.pages.site import Site


@dataclass(frozen=True, slots=True)
class AboutDeals:
    """Pages that show deals as far as ``access`` allows, and pass on what people say through ``decisions``."""

    site: Site
    access: Access
    deals: Deals
    search: Search
    reviews: Reviews
    decisions: Decisions
    dynamics: Dynamics
