"""The clock of a single run, moved as the development server can: durable timers fire as they would in days.

No other run notices, and neither do the systems outside: what is tested is what the deal does when its time has come.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflow.v1 import WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import UpdateWorkflowExecutionOptionsRequest
from temporalio.client import Client


async def move_clock(client: Client, workflow_id: str, to: datetime) -> None:
    """Let a run's time pass until a second after this moment.

    Args:
        client: connected to a development server started with `frontend.WorkflowTimeSkippingEnabled`.
        workflow_id: of the run that is latest under this id.
        to: with time zone, in the future.
    """
    ahead = to - datetime.now(UTC) + timedelta(seconds=1)
    options = WorkflowExecutionOptions()
    options.time_skipping_config.enabled = True
    options.time_skipping_config.fast_forward_config.id = str(uuid.uuid4())
    options.time_skipping_config.fast_forward_config.duration.CopyFrom(Duration(seconds=int(ahead.total_seconds())))
    await client.workflow_service.update_workflow_execution_options(
        UpdateWorkflowExecutionOptionsRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            workflow_execution_options=options,
            update_mask=FieldMask(paths=["time_skipping_config"]),
        )
    )
