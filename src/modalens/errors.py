"""The two things modalens says when something is not as it should be."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any


class InputError(ValueError):
    """What was given can't be explained as it is; the message names the modality, what was expected, what came, and
    what to do.
    """


class ModalensWarning(UserWarning):
    """The result stands, but a reader has to know this. Every warning is kept in the provenance too."""


def listed(names: Iterable[object]) -> str:
    """Names for a message: `'ct', 'report'`, or `none`."""
    return ", ".join(repr(name) for name in names) or "none"


def nearest(wanted: str, known: Iterable[str]) -> str:
    """` (did you mean 'clinical'?)` where a known name is close to the wanted one, else nothing."""
    close = difflib.get_close_matches(wanted, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def require_keywords_of(function: Callable[..., Any], called: str, given: Iterable[str]) -> None:
    """Refuse keywords that the function does not take, as Python would, in the name of the function that was called,
    and with the nearest one.
    """
    known = inspect.signature(function).parameters
    for keyword in given:
        if keyword not in known:
            raise TypeError(
                f"{called}() got an unexpected keyword argument {keyword!r}{nearest(keyword, known)}: it takes those of {function.__name__}."
            )


@contextmanager
def about(modality: str) -> Iterator[None]:
    """Put the modality's name before an error that was raised where nobody knows it."""
    try:
        yield
    except InputError as error:
        if f"modality {modality!r}" in str(error) or f"modality '{modality}[" in str(error):  # of it, or of its member
            raise
        raise InputError(f"modality {modality!r}: {error}") from error


def choice(argument: str, value: object, allowed: Iterable[str]) -> None:
    """Refuse a value outside the allowed names, with the nearest one."""
    allowed = tuple(allowed)
    if value not in allowed:
        raise InputError(
            f"{argument}={value!r} is not known{nearest(str(value), allowed)}: give one of {listed(allowed)}."
        )
