"""What assistants may ask: tools of the Model Context Protocol that read, as the person who asks."""

from __future__ import annotations
