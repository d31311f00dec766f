"""The one way to make a client, a worker or a replay speak sealed payloads.

Data converter, purposes of messages and the gate of the runs belong together: a part alone writes what the others
refuse, and what the gate wants asked again is asked again. They come as one plugin of the SDK, which a client hands on
to its workers.
"""

from __future__ import annotations

from temporalio.plugin import SimplePlugin
from temporalio.worker import WorkflowRunner

from runs.codec import Purposes, data_converter
from runs.codec_keys import KeyFileError, KeyRing
from workers.early import AsksAgain
from workers.gate import GuardedRunner, MarksResults
from workers.settings import CodecSettings, SettingsError


def sealing(keys: KeyRing, *, compress: bool = False) -> SimplePlugin:
    """The plugin for `Client.connect`, `WorkflowEnvironment` and `Replayer`.

    Args:
        keys: encryption keys; the first writes.
        compress: pack payloads above 1 KiB before they are sealed.
    """
    return SimplePlugin(
        "q2c.sealing",
        data_converter=data_converter(keys, compress=compress),
        interceptors=[Purposes(), AsksAgain(), MarksResults()],
        workflow_runner=_guarded,
    )


def sealing_of(settings: CodecSettings) -> SimplePlugin:
    """The plugin, as the settings say.

    Raises:
        SettingsError: the key file is missing or cannot be used.
    """
    return sealing(codec_keys(settings), compress=settings.compress)


def codec_keys(settings: CodecSettings) -> KeyRing:
    """The keys of this process.

    Raises:
        SettingsError: the key file is missing or cannot be used. There is no mode without keys.
    """
    try:
        if settings.key_set is not None:
            return KeyRing.parse(settings.key_set.get_secret_value(), "Q2C_CODEC_KEY_SET")
        return KeyRing.read(settings.keys_file)
    except KeyFileError as error:
        raise SettingsError(str(error)) from error


def _guarded(runner: WorkflowRunner | None) -> WorkflowRunner:
    if runner is None:
        raise ValueError("a worker is given the runner of workers.worker.workflow_runner()")
    return GuardedRunner(runner)
