"""Whoever tries keys that are wrong waits longer each time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

LONGEST = 60.0
"""Seconds of the longest wait."""

FORGOTTEN = 600.0
"""Seconds without a wrong key after which what was is forgotten."""


@dataclass
class _Failures:
    count: int = 0
    last: float = float("-inf")


@dataclass(kw_only=True)
class Throttle:
    """After each wrong key the next of the same name is not looked at for 1, 2, 4, ... seconds, a minute at most. Each name counts for
    itself, whether anybody bears it or not: who tries many names holds nobody else up, and learns of no name that it is
    known. Keys of 120 random bits need no more.

    clock: seconds that only grow.

    >>> now = [0.0]
    >>> throttle = Throttle(clock=lambda: now[0])
    >>> throttle.failed("anna"); throttle.wait("anna"), throttle.wait("ben")
    (1.0, 0.0)
    >>> now[0] = 1.0
    >>> throttle.failed("anna"); throttle.wait("anna")
    2.0
    """

    clock: Callable[[], float] = time.monotonic
    _names: dict[str, _Failures] = field(default_factory=dict)

    def wait(self, name: str) -> float:
        """Seconds until a key of this name is looked at; 0: now."""
        own = self._names.get(name, _Failures())
        return _left(own.count, own.last, self.clock())

    def failed(self, name: str) -> None:
        """A key of this name was wrong."""
        now = self.clock()
        self._names = {one: before for one, before in self._names.items() if now - before.last < FORGOTTEN}
        own = self._names.setdefault(name, _Failures())
        own.count, own.last = own.count + 1, now

    def succeeded(self, name: str) -> None:
        """A key of this name was right."""
        self._names.pop(name, None)


def _left(count: int, last: float, now: float) -> float:
    if count < 1 or now - last >= FORGOTTEN:
        return 0.0
    return max(0.0, last + min(2.0 ** min(count - 1, 10), LONGEST) - now)
