"""One rival in one process: `python -m benchmarks.speed.measure TASK RIVAL`, told what to do line by line.

Each line on standard input is a JSON object such as {"do": "values", "path": ...}, each answer a line on standard
output.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .cases import Case
from .counting import count_rows
from .problem import network, pose
from .rivals import Rival, named

QUICK_ENOUGH = 1.0
"""A run shorter than this many seconds is warmed up in every round: the others' turns have cooled the caches."""
ROUND = 0.25
"""Seconds that a round lasts at least, in runs that are timed one by one."""


class Bench:
    """What the process holds: its rival, and the case that it was last given."""

    def __init__(self, task: str, rival: Rival) -> None:
        self.task, self.rival = task, rival
        self.seconds = 0.0

    def open(self, case: dict[str, Any], setting: list[int]) -> dict[str, Any]:
        """Make the model and the data, and what the rival makes once for a model: only modalens does, its split."""
        self.case = Case(**case)
        model = network(self.case)
        self.start = restart_peak()
        self.problem = pose(self.case, model)
        data = (*self.problem.inputs.values(), *self.problem.background.values())
        inputs = sum(values.nbytes for values in data)
        tracer_seconds = split_seconds = 0.0
        if "modalens" in self.rival.libraries:
            tracer_seconds = timed(lambda: importlib.import_module("torch._dynamo"))[1]
            split_seconds = timed(lambda: importlib.import_module(".own", __package__).split(self.problem))[1]
        self.prepare(setting)
        split_bytes = peak() - self.start
        restart_peak()
        return {
            "tracer_seconds": tracer_seconds,
            "split_seconds": split_seconds,
            "split_bytes": split_bytes,
            "input_bytes": inputs,
        }

    def prepare(self, setting: list[int]) -> None:
        """Have the rival ready for runs with this setting."""
        function = getattr(importlib.import_module(f".{self.task}", __package__), self.rival.key)
        self.run: Callable[[], np.ndarray] = function(self.problem, tuple(setting))

    def values(self, path: str) -> dict[str, Any]:
        """The first run: its values are kept for comparison, its time is not."""
        values, self.seconds = timed(self.run)
        np.savez(path, values=values)
        return {"seconds": self.seconds, "value_bytes": values.nbytes}

    def memory(self) -> dict[str, Any]:
        """The most memory since the case was opened, beyond what libraries and model had taken before."""
        return {"run_bytes": peak() - self.start}

    def time(self) -> dict[str, Any]:
        """A round: one run, or as many as fit into a quarter of a second."""
        if self.seconds < QUICK_ENOUGH:
            self.run()
        seconds = [timed(self.run)[1]]
        while sum(seconds) < ROUND:
            seconds.append(timed(self.run)[1])
        return {"seconds": seconds}

    def count(self) -> dict[str, Any]:
        """Rows in one more run, and what modalens itself says of them."""
        counted: dict[str, Any] = {"rows": count_rows(self.problem, self.run)}
        if self.rival.key == "modalens":
            counted["claims"] = importlib.import_module(".own", __package__).claims(self.problem)
        return counted

    def tune(self, settings: list[list[int]]) -> dict[str, Any]:
        """The fastest of some settings; long runs are tried once, short ones three times after one to warm up."""
        best, fastest = settings[0], float("inf")
        for setting in settings:
            self.prepare(setting)
            _, seconds = timed(self.run)
            if seconds < QUICK_ENOUGH:
                seconds = min(timed(self.run)[1] for _ in range(3))
            if seconds < fastest:
                best, fastest = setting, seconds
        return {"setting": best}


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    values = run()
    return values, time.perf_counter() - started


def restart_peak() -> int:
    """Forget the highest memory so far, where the system can; the memory in use now, in bytes."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return memory_of("VmRSS") or peak()


def peak() -> int:
    """The highest memory of this process. What the system keeps as ru_maxrss begins at that of the parent process,
    so it is taken only where there is nothing better.
    """
    return memory_of("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def memory_of(name: str) -> int:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(f"{name}:")), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    parser.add_argument("rival")
    parser.add_argument("--threads", type=int, required=True)
    chosen = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a package prints must not pass for an answer
    warnings.simplefilter("ignore")
    torch.set_num_threads(chosen.threads)
    rival = named(chosen.task, chosen.rival)
    for library in rival.libraries:
        importlib.import_module(library)
    bench = Bench(chosen.task, rival)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = getattr(bench, asked.pop("do"))(**asked) or {}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
