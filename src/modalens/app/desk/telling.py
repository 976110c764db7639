"""What annotators may read when something fails: never a path, a URL or anything else that could name a model."""

from __future__ import annotations

import sys
import traceback

from modalens.errors import InputError

UNUSABLE = "The desk can't be used now. Please tell the person who runs it: the terminal says why."
"""What annotators read of everything else."""


class ForAnnotator(InputError):
    """What an annotator did can't be done; the message is written for the annotator, and names no file, data base or model."""


def told(error: Exception) -> str:
    """What an annotator reads of an error. Unless it is written for the annotator, the terminal gets all of it.

    >>> told(ForAnnotator("The name or the key is wrong."))
    'The name or the key is wrong.'
    >>> told(InputError("models/gloria.nc can't be read.")) == UNUSABLE
    True
    """
    if isinstance(error, ForAnnotator):
        return str(error)
    print(f"annotation desk: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    if not isinstance(error, InputError):
        traceback.print_exception(error)
    return UNUSABLE
