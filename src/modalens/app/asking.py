"""A model that is asked for one map while the app runs: by whoever looks at an audit, or annotates."""

from __future__ import annotations

from threading import Lock
from typing import Any

from modalens.alignment.heatmaps import HeatMap
from modalens.alignment.records import Record
from modalens.alignment.showing import Pairs
from modalens.errors import InputError

_asking = Lock()
"""Models need not bear two questions at once, from whichever page."""


def map_of(model: Any, record: Record, phrase: str) -> HeatMap:
    """The model's map of a record's picture for a sentence.

    Raises InputError where the model fails or gives no map; what it raised is said.
    """
    try:
        with _asking:
            found = Pairs.of([record]).maps(model, {(0, phrase)}, 1, lambda _: None)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"the model failed: {type(error).__name__}: {error}") from error
    return found[0, phrase]
