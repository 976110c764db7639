"""What a validation found: every run, measures ranked by problem, and how much of their spread is the seed's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Group
from rich.text import Text

from modalens.errors import InputError
from modalens.plots.leaderboard import leaderboard_figure
from modalens.report.leaderboard import write_board
from modalens.summary import as_rich
from modalens.summary.cells import Table
from modalens.summary.printed import as_text
from modalens.validation.truths import ESTIMANDS

FORMAT = 1

SCORES = {
    "rmse": "error",
    "paper_rmse": "error, paper's truth",
    "above_chance": "RBO above chance",
    "tau": "tau-b",
    "top_one": "first found",
    "leakage": "leakage",
    "interaction_error": "interaction error",
    "deletion": "deletion",
    "insertion": "insertion",
    "covered": "coverage",
    "seconds": "seconds",
    "rows": "head rows",
}
"""The columns of the table."""

OF_SHARES = ("rmse", "paper_rmse", "above_chance", "tau", "top_one", "leakage")
"""Those by which shares of modalities are judged."""

OF_A_SHARE = ("problem", "seed", "measure", "estimand", "learned", "modality", "share", "lower", "upper", "sample_error", "truth")  # fmt: skip
"""The columns of a row a share."""

LEGEND = (
    "Mean ± standard deviation over seeds, over all problems whose model learned them. error: root mean squared difference of the shares from what the measure says that it estimates; "
    "beside it, from the gradient paper's truth, the share of mean |gradient|.",
    "RBO above chance: rank-biased overlap (p = .9, ties by rule b), 0 for a random order and 1 for the true one. tau-b: Kendall's. first found: how often the most important modality is. "
    "leakage: what is given to modalities that do nothing. interaction error: of the shares of order 1, 2 and more. deletion and insertion: by how much the "
    "output falls faster, or rises faster, when modalities go or come in each sample's own order than in a random one (share of the whole way). coverage: how often "
    "the interval, with the error of drawing background rows added to it, holds the truth; it says nothing of training.",
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One measure on one model of one problem. `entry` is the measure's name, with that of the array where it is not the
    contribution; `shares`, `lower` and `upper` are by modality; `sample_error` is the standard deviation over bootstrap
    draws of patients. `reason` says why there are no shares.
    """

    problem: str
    seed: int
    model: str
    entry: str
    estimand: str
    accuracy: float
    ceiling: float
    chance: float
    learned: bool
    shares: Mapping[str, float] = field(default_factory=dict)
    lower: Mapping[str, float] = field(default_factory=dict)
    upper: Mapping[str, float] = field(default_factory=dict)
    sample_error: Mapping[str, float] = field(default_factory=dict)
    truth: Mapping[str, float] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """Measures on problems whose answer is known.

    `runs` are all of them, `to_frame()` one row each. `table` has a row a measure: its scores, pooled over the problems
    whose model learned them, with the spread over seeds. `best` names the best measure of each problem. `spread` tells the
    seeds' variance from the patients'. `print(board)`, `plot()`, `save(path)`, `write(folder)`.
    """

    runs: tuple[Run, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_frame(self) -> pd.DataFrame:
        """One row a run: problem, seed, model, measure, estimand, whether the model learned the problem, and all scores."""
        kept = ("problem", "seed", "model", "entry", "estimand", "learned", "accuracy", "ceiling", "chance", "reason")
        return pd.DataFrame(
            [{name: getattr(run, name) for name in kept} | dict(run.scores) for run in self.runs]
        ).rename(columns={"entry": "measure"})

    def shares(self) -> pd.DataFrame:
        """One row a run and modality: the share, its bounds, its truth."""
        rows = [
            (
                run.problem,
                run.seed,
                run.entry,
                run.estimand,
                run.learned,
                name,
                share,
                *(known.get(name, np.nan) for known in (run.lower, run.upper, run.sample_error, run.truth)),
            )
            for run in self.runs
            for name, share in run.shares.items()
        ]
        return pd.DataFrame(rows, columns=OF_A_SHARE).astype({"learned": bool})

    @property
    def scored(self) -> pd.DataFrame:
        """The runs that count: their model learned the problem, and the measure said something."""
        frame = self.to_frame()
        return frame[frame["learned"] & (frame["reason"] == "")]

    @property
    def table(self) -> pd.DataFrame:
        """One row a measure, the best first: each score's mean over seeds, and its standard deviation over seeds
        (`<score>_sd`). Errors are pooled over problems and modalities within a seed, other scores averaged.
        """
        scored = self.scored
        if scored.empty:
            return pd.DataFrame(columns=["estimand", *SCORES])
        by_seed = pd.DataFrame({key: _pooled(runs) for key, runs in scored.groupby(["measure", "seed"])}).T
        by_seed.index = by_seed.index.set_names(["measure", "seed"])
        means = by_seed.groupby("measure").mean()
        spread = by_seed.groupby("measure").std(ddof=1).add_suffix("_sd")
        estimand = scored.groupby("measure")["estimand"].first()
        return pd.concat([estimand, means, spread], axis=1).sort_values("rmse")

    def by_problem(self, score: str = "rmse") -> pd.DataFrame:
        """The mean over seeds of one score: a row a measure, a column a problem."""
        frame = self.scored
        if score not in (*frame.columns, *SCORES):
            raise InputError(f"the leaderboard has no score {score!r}; it has {', '.join(SCORES)}.")
        if score not in frame.columns:  # none of these measures, or problems, has it
            return pd.DataFrame(index=pd.Index([], name="measure"), columns=pd.Index([], name="problem"), dtype=float)
        found = frame.pivot_table(index="measure", columns="problem", values=score, aggfunc="mean", sort=False)
        return found.reindex(index=[name for name in self.table.index if name in found.index])

    @property
    def best(self) -> dict[str, str]:
        """The measure with the smallest error against what it estimates, by problem."""
        errors = self.by_problem("rmse").dropna(axis="columns", how="all")
        return {str(problem): str(errors[problem].idxmin()) for problem in errors.columns}

    @property
    def spread(self) -> pd.DataFrame:
        """The standard deviation of a share over seeds (data, first weights) and over patients (bootstrap), by measure:
        `seed` is what is left of the variance between runs when that of patients is taken away.
        """
        frame = self.shares()
        frame = frame[frame["learned"]]
        if frame.empty:
            return pd.DataFrame(columns=["seed", "patients", "total"])
        groups = frame.groupby(["measure", "problem", "modality"])
        between = groups["share"].var(ddof=1)
        within = groups["sample_error"].apply(lambda errors: (errors**2).mean())
        found = pd.DataFrame({"total": between, "patients": within}).groupby("measure").mean()
        found["seed"] = (found["total"] - found["patients"]).clip(lower=0)
        return found[["seed", "patients", "total"]] ** 0.5

    @property
    def not_learned(self) -> list[str]:
        """The runs that are shown and not scored, in words."""
        seen = {(run.problem, run.seed, run.model): run for run in self.runs if not run.learned}
        return [
            f"{problem}, seed {seed}: the model did not learn f ({run.accuracy:.0%} right, the oracle {run.ceiling:.0%}, a guess {run.chance:.0%})"
            for (problem, seed, _), run in seen.items()
        ]

    @property
    def _on_fewer_models(self) -> list[str]:
        """The measures that say something of some of the models only, in words."""
        frame = self.to_frame()
        models = len(frame.loc[frame["learned"], ["problem", "seed"]].drop_duplicates())
        return [
            f"{name}: it is scored on {count} of {models} models, so its numbers are over fewer than those of others"
            for name, count in self.scored.groupby("measure", sort=False).size().items()
            if count < models
        ]

    def tables(self) -> list[Table]:
        """The ranking, the errors by problem, and the spread, as text."""
        table = self.table
        reasons = {f"{run.entry}: {run.reason}" for run in self.runs if run.reason}
        estimands = [f"{name}: {ESTIMANDS[name]}." for name in dict.fromkeys(table["estimand"]) if name in ESTIMANDS]
        rankings = Table(
            title="Measures, best first",
            columns=("measure", "estimates", *(SCORES[name] for name in OF_SHARES)),
            rows=tuple(
                (str(name), row["estimand"] or "–", *(_with_spread(row, score) for score in OF_SHARES))
                for name, row in table.iterrows()
            ),
            notes=(*LEGEND, *estimands, *self.not_learned, *self._on_fewer_models, *sorted(reasons)),
        )
        rest = [name for name in SCORES if name not in OF_SHARES]
        others = Table(
            title="Interactions, faithfulness, intervals and cost",
            columns=("measure", *(SCORES[name] for name in rest)),
            rows=tuple((str(name), *(_with_spread(row, score) for score in rest)) for name, row in table.iterrows()),
        )
        errors = self.by_problem("rmse")
        by_problem = Table(
            title="Error (RMSE) by problem; the smallest is marked",
            columns=("measure", *map(str, errors.columns)),
            rows=tuple(
                (str(name), *(_marked(errors[problem], name) for problem in errors.columns)) for name in errors.index
            ),
        )
        held = self.by_problem("covered")
        coverage = Table(
            title="Intervals that hold the truth, by problem",
            columns=("measure", *map(str, held.columns)),
            rows=tuple(
                (str(name), *("n/a" if np.isnan(value) else f"{value:.3f}" for value in row))
                for name, row in zip(held.index, held.to_numpy(), strict=True)
            ),
        )
        spread = self.spread
        spreads = Table(
            title="Where the spread comes from: standard deviation of a share, in points",
            columns=("measure", "between seeds", "between patients", "together"),
            rows=tuple(
                (str(name), *("n/a" if np.isnan(value) else f"{100 * value:.1f}" for value in row))
                for name, row in zip(spread.index, spread.to_numpy(), strict=True)
            ),
        )
        return [
            rankings,
            *([] if errors.empty else [by_problem]),
            others,
            *([] if held.empty else [coverage]),
            *([] if spread.empty else [spreads]),
        ]

    def plot(self) -> Any:
        """A matplotlib Figure: error by measure with every seed, and every share against its truth."""
        return leaderboard_figure(self)

    def save(self, path: str | Path) -> Path:
        """Write one JSON file, which `Leaderboard.load` reads. Raises InputError where it can't be written."""
        target = Path(path)
        content = {"modalens": FORMAT, "settings": self.settings, "runs": [asdict(run) for run in self.runs]}
        try:
            target.write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")
        except OSError as error:
            raise InputError(f"the leaderboard can't be written to {target}: {error}.") from error
        return target

    def write(self, folder: str | Path) -> list[Path]:
        """Write `leaderboard.json`, `.csv`, `.svg`, `.png` and a page, `.html`, and say which files there are."""
        return write_board(self, folder)

    @classmethod
    def load(cls, path: str | Path) -> Leaderboard:
        """Read what `save` wrote. Raises InputError for any other file."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(runs=tuple(Run(**run) for run in content["runs"]), settings=content["settings"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path} is no leaderboard: {error}; give a file that Leaderboard.save wrote.") from error

    def __str__(self) -> str:
        return as_text(self._shown(), 200)

    def __rich_console__(self, console: Any, options: Any) -> Any:
        yield self._shown()

    def _shown(self) -> Group:
        return Group(Text(self.words, style="bold"), *map(as_rich, self.tables()))

    @property
    def words(self) -> str:
        """The best measure of each problem."""
        if not self.best:
            return "No run can be scored." if self.scored.empty else "No shares of modalities can be held to a truth."
        by_measure: dict[str, list[str]] = {}
        for problem, measure in self.best.items():
            by_measure.setdefault(measure, []).append(problem)
        return "Smallest error: " + "; ".join(f"{name} on {', '.join(won)}" for name, won in by_measure.items()) + "."


def _pooled(runs: pd.DataFrame) -> pd.Series:
    """The scores of one measure and seed over problems: the root of the mean square of errors, the mean of the rest."""
    known = runs.reindex(columns=list(SCORES))
    return pd.Series(
        {
            name: np.sqrt((known[name] ** 2).mean()) if name.endswith(("rmse", "error")) else known[name].mean()
            for name in SCORES
        }
    )


def _with_spread(row: pd.Series, score: str) -> str:
    value, spread = row.get(score, np.nan), row.get(f"{score}_sd", np.nan)
    if pd.isna(value):
        return "n/a"
    if score == "rows":
        return f"{value:,.0f}"
    return f"{value:.3f}" + ("" if pd.isna(spread) else f" ± {spread:.3f}")


def _marked(column: pd.Series, name: Any) -> str:
    value = column[name]
    return "n/a" if pd.isna(value) else f"{value:.3f}{' *' if value == column.min() else ''}"
