"""Which build of the workers a run keeps to, where Temporal's worker versioning is on.

Off, any worker takes any run, and every change of a workflow is guarded by `workflow.patched`. With `auto_upgrade` it
is the same, but that a new build takes nothing until it is made current, and the one before can be made current again
at once. With `pinned` a deal and its requests for approval end on the build they began with; what never ends (feeds,
ledgers, accounts, delegations) goes on with the current build in any case, or an old build could never be stopped.
"""

from __future__ import annotations

from typing import Any, Final

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import WorkerDeploymentConfig, WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

from runs.names import APPROVAL, QUOTE_TO_CASH
from workers.settings import Settings, SettingsError

PINNED: Final = frozenset({QUOTE_TO_CASH, APPROVAL})
"""Processes that end, and live long enough to meet a new build."""


def deployment(settings: Settings) -> WorkerDeploymentConfig | None:
    """How this process's workers say which build they are; None: they do not.

    Raises:
        SettingsError: the build has no name.
    """
    if settings.worker.versioning == "off":
        return None
    if not settings.worker.build:
        raise SettingsError("Q2C_WORKER_BUILD: is missing; name the build, e.g. the image's tag")
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(settings.worker.deployment, settings.worker.build),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


def keeping(runner: WorkflowRunner, settings: Settings) -> WorkflowRunner:
    """What runs workflows, so that they keep to their build where the settings say so."""
    return Pinning(runner) if settings.worker.versioning == "pinned" else runner


class Pinning(WorkflowRunner):
    """Says of each task of a process in `PINNED` that its run keeps to this build.

    That belongs to the decorator of a workflow, but Temporal takes no word of it from a worker that is not versioned,
    and whether one is, is a setting.
    """

    def __init__(self, runner: WorkflowRunner) -> None:
        """Run workflows as ``runner`` does."""
        self._runner = runner

    def prepare_workflow(self, defn: Any) -> None:
        """As the runner does."""
        self._runner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """As the runner does; each task of a pinned one says that it is."""
        instance = self._runner.create_instance(det)
        if det.info.workflow_type in PINNED:
            activate = instance.activate

            def pinned(act: Any) -> Any:
                completion = activate(act)
                if completion.HasField("successful"):
                    completion.successful.versioning_behavior = VersioningBehavior.PINNED.value
                return completion

            setattr(instance, "activate", pinned)  # noqa: B010  # an instance of the SDK's, known as abstract only
        return instance

    def set_worker_level_failure_exception_types(self, types: Any) -> None:
        """As the runner does."""
        self._runner.set_worker_level_failure_exception_types(types)
