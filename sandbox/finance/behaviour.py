"""What differs between Finance environments, or is not known for certain: each such fact is one setting.

Every default is what a client must be ready for. A setting exists only where Microsoft's documents are silent or
where country, version or setup decide; everything else the sandbox does one way.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Behaviour:
    """Settings of one environment; change them in place.

    Attributes:
        filter_nodes: Most nodes of a `$filter` (ASP.NET's MaxNodeCount: 100 unless somebody raised it). One comparison
            is four nodes, `and` and `or` one each.
        text_order: Whether `gt`, `ge`, `lt` and `le` work on text. They were refused in a tenant.
        text_functions: Whether `contains`, `startswith` and `endswith` work. The documented way is `eq '*text*'`.
        missing_row_status: Status of a PATCH or DELETE that names no row: 400 was seen in production, 404 is OData's.
        norwegian_fields: Whether fields localized for Norway (`OrderLineReference`) exist in the legal entities. If
            not, a write is refused and a read does not show a value.
        stored_decimals: How many decimals a decimal column keeps (NUMERIC(32,6) in the database); None keeps all.
    """

    filter_nodes: int = 100
    text_order: bool = False
    text_functions: bool = False
    missing_row_status: int = 400
    norwegian_fields: bool = False
    stored_decimals: int | None = 6

    def reset(self) -> None:
        """Every setting as at the start."""
        for each in fields(self):
            setattr(self, each.name, each.default)
