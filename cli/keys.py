"""`q2c keys`: the key pair that signs decisions."""

from __future__ import annotations

from cli import inputs
from cli.output import JsonOption, result, result_as_json

EXAMPLES = """Examples:

q2c keys
    a pair where Q2C_DECISION_PRIVATE_KEY_FILE and Q2C_DECISION_PUBLIC_KEYS_FILE say

Q2C_DECISION_PRIVATE_KEY_FILE=new/key.json Q2C_DECISION_PUBLIC_KEYS_FILE=new/jwks.json q2c keys
    a second pair, to replace the first (docs/operations.md)
"""


def keys(json: JsonOption = False) -> None:
    """Make the key pair that signs decisions, unless there is one.

    The private key is a secret of the web application; the public keys are given to the worker.
    """
    from workers.keys import ensure_decision_keys

    decision = inputs.settings().decision
    ensure_decision_keys(decision.private_key_file, decision.public_keys_file)
    if json:
        result_as_json({"private": str(decision.private_key_file), "public": str(decision.public_keys_file)})
    else:
        result(f"private: {decision.private_key_file}\npublic:  {decision.public_keys_file}")
