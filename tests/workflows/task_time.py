"""How much processor time the workflow tasks of a worker take, however busy the machine is.

Temporal's detector of deadlocks ends a task after two seconds on the clock, which on a busy machine says more about the
machine than about the workflow. A test of a burst measures what the task itself takes, with the detector off.
"""

from __future__ import annotations

import time
from typing import Any, Final

from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

from workers.worker import workflow_runner

MOST_SECONDS: Final = 2.0
"""What the detector allows a task; here of processor time. 3,000 messages take 0.5 to 0.9."""


class Metered(WorkflowRunner):
    """The product's sandbox for workflows, with a meter. ``debug_mode=True`` of the worker turns the detector off."""

    def __init__(self) -> None:
        self._runner = workflow_runner()
        self.longest = 0.0
        """Seconds of processor time that the longest workflow task took."""

    def prepare_workflow(self, defn: Any) -> None:
        """As the sandbox does."""
        self._runner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """As the sandbox does; each task of the instance is measured."""
        instance = self._runner.create_instance(det)
        activate = instance.activate

        def measured(act: Any) -> Any:
            begun = time.thread_time()
            try:
                return activate(act)
            finally:
                self.longest = max(self.longest, time.thread_time() - begun)

        setattr(instance, "activate", measured)  # noqa: B010 - an instance of the SDK's, known as abstract only
        return instance

    def set_worker_level_failure_exception_types(self, types: Any) -> None:
        """As the sandbox does."""
        self._runner.set_worker_level_failure_exception_types(types)
