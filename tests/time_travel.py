"""The clock of a single run, moved as the development server can: durable timers fire as they would in days.

No other run notices, and neither do the systems outside: what is tested is what the deal does when its time has come.
The server is to be started with `frontend.WorkflowTimeSkippingEnabled`, as the demo's is.
"""

from __future__ import annotations

from demo.recorded import move_clock

__all__ = ["move_clock"]
