"""The test scores of all real problems and what explaining their fused models finds, over seeds: `python
benchmarks/problems.py > benchmarks/problems.md`.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import time

import numpy as np
import pandas as pd
import torch

from modalens import datasets
from modalens.demo import explain_study, explained, score_table, train_all
from modalens.explanation import Explanation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--problems", nargs="+", default=list(datasets.names()))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("modalens", "torch", "numpy", "scikit-learn")
    )
    print("# The real problems\n")
    print(
        f"`python benchmarks/problems.py --seeds {chosen.seeds}`, one thread, Python {platform.python_version()}, {versions}. Mean and range over seeds 0 to {chosen.seeds - 1}.\n"
    )
    for problem in chosen.problems:
        print(f"## {problem}\n\n{report(problem, chosen.seeds)}\n", flush=True)


def report(problem: str, seeds: int) -> str:
    """A table of scores and one of findings, as Markdown."""
    study = datasets.load(problem)
    scores, findings = [], []
    for seed in range(seeds):
        started = time.perf_counter()
        models = train_all(study, seed=seed, progress=False)
        trained = time.perf_counter() - started
        scores.append(score_table(study, models).set_index("model")[study.metric])
        for name in ("fused", "late"):
            started = time.perf_counter()
            explanation = explain_study(study, models[name], seed=seed)
            findings.append(
                _findings(name, explanation)
                | {f"{name}: seconds to explain": time.perf_counter() - started, "seconds to train all": trained}
            )
    about = f"{study.question} {len(study.train)} to train, {len(study.test)} to test ({explained(study)} explained), {study.metric}."
    return f"{about}\n\n{_markdown(pd.DataFrame(scores))}\n\n{_markdown(pd.DataFrame(findings))}"


def _findings(name: str, explanation: Explanation) -> dict[str, float]:
    intershap, occlusion, shapley = explanation.intershap, explanation.occlusion, explanation.shapley
    found = {
        f"{name}: InterSHAP ({space})": float(intershap.by_space.sel(space=space))
        for space in intershap.by_space.space.values
    }
    found |= {
        f"{name}: excess over additive ({space})": float(intershap.excess.sel(space=space))
        for space in intershap.excess.space.values
    }
    for modality in explanation.modalities:
        found[f"{name}: {modality}, occlusion"] = float(occlusion.contribution.sel(modality=modality))
        found[f"{name}: {modality}, as one part"] = float(occlusion.anchor.sel(modality=modality))
        found[f"{name}: {modality}, Shapley"] = float(shapley.contribution.sel(modality=modality))
    return found


def _markdown(frame: pd.DataFrame) -> str:
    rows = ["| | mean | lowest | highest |", "|---|---|---|---|"]
    for column in frame:
        values = frame[column].dropna().to_numpy(float)
        rows.append(
            f"| {column} | "
            + " | ".join(_number(value) for value in (values.mean(), values.min(), values.max()))
            + " |"
        )
    return "\n".join(rows)


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) >= 5e-4 or value == 0 else np.format_float_scientific(value, precision=1)


if __name__ == "__main__":
    main()
