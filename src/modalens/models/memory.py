"""Whether a model ran out of memory, on whatever machine it runs."""

from __future__ import annotations

import sys


def out_of_memory(error: Exception) -> bool:
    """Whether this says that there was not enough memory, of the machine or of an accelerator."""
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in said or "can't allocate memory" in said)
