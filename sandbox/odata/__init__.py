"""What the two simulated systems have in common as OData services: query syntax, addresses, `$batch`, exact JSON.

Where Dataverse and Finance differ (enum literals, wildcards, functions, which operators exist) the difference is a
`filters.Dialect` handed to the compiler; nothing here knows either system.

* `jsonio`: JSON in and out with numbers as Decimal, never float.
* `filters`: `$filter` text -> predicate over rows, with the equalities an index can answer.
* `query`: the system query options of an address ($select, $expand, $orderby, $top, $count …), and running them.
* `address`: resource paths, keys and alternate keys.
* `batch`: multipart `$batch` bodies, change sets, `$1` references.
"""
