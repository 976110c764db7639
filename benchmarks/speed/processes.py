"""The rivals' processes, seen from the one that leads them: each is started, told what to do, and waited for."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .rivals import Rival

ROOT = Path(__file__).resolve().parents[2]


class TooSlow(Exception):
    """A rival did not answer within its limit, and was stopped."""


class RivalFailed(Exception):
    """A rival raised an error, or its process ended."""


class Process:
    """One rival in a fresh interpreter. Starting returns at once, so that several import their libraries together."""

    def __init__(self, task: str, rival: Rival, *, threads: int) -> None:
        self.rival = rival
        self.noise = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the process)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.speed.measure", task, rival.key, "--threads", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.noise,
            text=True,
            cwd=ROOT,
            env=os.environ | dict.fromkeys(THREADS, str(threads)),
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        if failed is not None:
            self.process.kill()
        self.close()

    def ask(self, do: str, *, limit: float | None = None, **about: Any) -> dict[str, Any]:
        """Send a command and wait for its answer, at most `limit` seconds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"do": do} | about) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise RivalFailed(f"{self.rival.words}: its process ended before {do!r}.\n{self._said()}") from None
        with selectors.DefaultSelector() as waiting:
            waiting.register(self.process.stdout, selectors.EVENT_READ)
            if not waiting.select(limit):
                self.process.kill()
                raise TooSlow(f"{self.rival.words}: {do!r} took more than {limit:g} s.")
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": f"its process ended.\n{self._said()}"}
        if "error" in answer:
            raise RivalFailed(f"{self.rival.words}: {do!r} failed.\n{answer['error']}")
        return answer

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None and not pipe.closed:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self.process.wait()
        self.noise.close()

    def _said(self) -> str:
        self.noise.seek(0)
        return self.noise.read()[-4000:]


THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
