"""Fixed keys for tests: recorded histories are sealed under them, so that a replay opens them as the product does."""

from __future__ import annotations

from pathlib import Path

from runs.codec_keys import KeyRing
from workers.sealing import sealing

KEYS_FILE = Path(__file__).parent / "codec-keys.json"
KEYS = KeyRing.read(KEYS_FILE)
SEALING = sealing(KEYS)
