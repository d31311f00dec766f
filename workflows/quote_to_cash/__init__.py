"""The deal: a quote from its submission to the money, in one durable process.

``process`` reads top to bottom as the seven stages. What may happen and what follows from it is said in
``domain.deal``, what is next in ``domain.moves``. The parts of the process:

* ``record``: what the deal knows and remembers, and how a fact is put to it;
* ``waiting``: how it waits, shows what it waits for, and continues as a new run;
* ``steps``: how an activity is tried, waited for, parked;
* ``people``: what people say to it;
* ``quote``, ``request``, ``credit``, ``order``, ``delivery``, ``closing``: the stages, and how a deal ends.
"""

from __future__ import annotations

from workflows.quote_to_cash.process import QuoteToCash

__all__ = ["QuoteToCash"]
