"""Which line of the user's own code an error is from."""

from __future__ import annotations

import linecache
import re
import sysconfig
import traceback
from pathlib import Path

Place = tuple[str, int]
"""A file and a line of it."""

PACKAGES = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
LIBRARY = sysconfig.get_path("stdlib")
"""Where other people's code lies."""

MACHINERY = (*(f"{root}/torch" for root in PACKAGES), str(Path(__file__).parents[1]), "<eval_with_key>")
"""What only carries an error on, and is never its place."""

SAID = re.compile(r'File "([^"]+)", line (\d+)')
"""A line of code, as a tracer tells it in words."""


def source_line(error: BaseException | None) -> str:
    """The innermost line of the user's own code on the way to an error, such as `network.py:12`, by its traceback or
    by what it says; that of an installed package where there is none, and nothing where that is unknown too.

    Example
    -------
    >>> source_line(ValueError("raised nowhere"))
    ''
    """
    places = [] if error is None else [one for one in (*_of_traceback(error), *_in_words(error)) if _is_source(one)]
    own = [place for place in places if not place[0].startswith((LIBRARY, *PACKAGES))]
    installed = [place for place in places if place[0].startswith(PACKAGES)]
    return next((f"{_short(file)}:{line}" for file, line in own or installed), "")


def _of_traceback(error: BaseException) -> list[Place]:
    """The lines that an error came through, the innermost first."""
    return [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)][::-1]


def _in_words(error: BaseException) -> list[Place]:
    return [(file, int(line)) for file, line in SAID.findall(str(error))][::-1]


def _is_source(place: Place) -> bool:
    """Whether this is a line that somebody wrote, and not the machinery's."""
    file, line = place
    return not file.startswith(MACHINERY) and bool(linecache.getline(file, line))


def _short(file: str) -> str:
    """A path as one would write it here."""
    path = Path(file)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
