"""What each simulated system publishes about itself: tables, columns, types, options, keys.

The tables under `dataverse/` and `finance/` are data, made from Microsoft's published schemas by `generate`; the
simulators read them at start. Written by hand are `dataverse/businessunits.json` and `dataverse/systemusers.json` (the
few real columns the product uses), `dataverse/_collections.json` (collection navigation properties: child table and its
lookup) and `dataverse/_solution.json` (the columns and alternate keys of our own solution, publisher prefix q2c).
"""
