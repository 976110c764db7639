"""`python -m benchmarks.speed`: what the same numbers cost in modalens, captum, shap, shapiq, a plain loop and loops
written by hand. Writes speed.md and its figures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from . import figures, machine
from .cases import BRIEF, QUICK, Suite
from .compare import Comparison, compare, grow, grow_in_memory
from .page import Results, page
from .targets import targets

IN_MEMORY = ("modalens", "split_loop")
"""Who is followed along the number of samples."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that all runs; the times mean nothing")
    parser.add_argument("--brief", action="store_true", help="256 samples only, usual settings, fewer points of growth")
    parser.add_argument(
        "--usual", action="store_true", help="the rivals' usual settings; better ones are not looked for"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, help="rounds in which rivals are timed (5; 2 where quick)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="folder for the page and figures (benchmarks; build where quick)")
    chosen = parser.parse_args()
    suite = replace(QUICK if chosen.quick else BRIEF if chosen.brief else Suite(), seed=chosen.seed)
    suite = replace(suite, tuned=suite.tuned and not chosen.usual)
    repeats = chosen.repeats or (2 if chosen.quick else 5)
    folder = chosen.output or Path("build" if chosen.quick else "benchmarks")
    folder.mkdir(parents=True, exist_ok=True)
    results = measure(suite, threads=chosen.threads, repeats=repeats, command=command(chosen))
    (folder / "speed.md").write_text(page(results))
    figures.draw(results, folder)
    for one in targets(results.comparisons, results.by_samples):
        print(f"{'met    ' if one.met else 'NOT MET'}  {one.words}: {one.promised}; {one.seen}")
    print(f"{folder / 'speed.md'} and its figures are written.")


def command(chosen: argparse.Namespace) -> str:
    """The command that makes this page again, without where it was written to."""
    given = [f"--threads {chosen.threads}", f"--seed {chosen.seed}"]
    given += [f"--repeats {chosen.repeats}"] if chosen.repeats else []
    given += [f"--{name}" for name in ("quick", "brief", "usual") if getattr(chosen, name)]
    return " ".join(["python -m benchmarks.speed", *given])


def measure(suite: Suite, *, threads: int, repeats: int, command: str) -> Results:
    """All cases, one after another."""
    started = time.perf_counter()
    load = machine.load()

    def say(words: str) -> None:
        print(f"{time.perf_counter() - started:7.0f} s  {words}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        comparisons: list[Comparison] = []
        for case in suite.comparisons():
            say(case.words)
            comparisons.append(
                compare(case, tuned=suite.tuned, threads=threads, repeats=repeats, folder=folder, say=say)
            )
        fewer = max(2, (repeats + 1) // 2)
        say("As the number of modalities grows")
        by_modalities = grow(
            suite.by_modalities(), threads=threads, repeats=fewer, limit=suite.limit, folder=folder, say=say
        )
        say("As the number of samples grows")
        by_samples = grow_in_memory(
            suite.by_samples(), IN_MEMORY, threads=threads, repeats=fewer, folder=folder, say=say
        )
    return Results(
        suite=suite,
        command=command,
        threads=threads,
        repeats=repeats,
        load=load,
        comparisons=comparisons,
        by_modalities=by_modalities,
        by_samples=by_samples,
    )


if __name__ == "__main__":
    main()
