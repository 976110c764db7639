"""The picture of an item with a map over it, as the audit's page draws it: fewer colours cover less, and the patient's sides are
marked. Drawn once for all who look at it.
"""

from __future__ import annotations

from functools import lru_cache

from modalens.app import overlay
from modalens.app.desk.items import Shown

SIDE = 560
"""Pixels of the longer side."""


@lru_cache(maxsize=64)
def png(shown: Shown, *, strength: float = 1.0, boxes: bool = False, side: int = SIDE) -> bytes:
    """A picture with a model's map over it.

    strength: of the overlay, from 0 (the picture alone) to 1. boxes: whether annotated regions are outlined. side: pixels of the
    longer side. What lies at an even share of attention or below, or outside what the model looked at, is left as it is.
    """
    record = shown.record
    (layer,) = overlay.layers(record, [shown.map], smooth=shown.smooth, longer=side)
    return overlay.png(record, layer, strength=strength, regions=boxes, longer=side)


def signed(shown: Shown) -> bool:
    """Whether the map has values below 0, which have a colour of their own."""
    return bool(shown.map.values.min() < 0)
