"""What is measured: the cases and their sizes. Knows no torch, so that the process that leads the others stays small."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Task = Literal["shapley", "occlusion", "gradient"]
Network = Literal["patients", "tables"]

TOLERANCE = 1e-5
"""How far the values of two rivals may lie apart, as a share of the largest value."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing to compute. `background` rows stand in for what is absent; 0 is a single baseline of zeros.

    The network is that of patients (image, report, table), or one of as many tables as there are modalities.
    """

    task: Task
    samples: int
    background: int = 0
    network: Network = "patients"
    modalities: int = 3
    seed: int = 0

    @property
    def words(self) -> str:
        """The case as a heading."""
        what = {
            "shapley": f"Shapley values of {self.modalities} modalities",
            "occlusion": "Occlusion of 16 patches, 32 tokens and 32 columns",
            "gradient": "Integrated gradients at the fusion point, 50 steps",
        }[self.task]
        baseline = (
            f"background of {self.background} rows"
            if self.background
            else "from the encoding of zeros"
            if self.task == "gradient"
            else "single baseline of zeros"
        )
        return f"{what}, {self.samples:,} samples, {baseline}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Suite:
    """All sizes of a run: what `--quick` makes small, and nothing else."""

    samples: tuple[int, ...] = (64, 256)
    background: int = 32
    growth_modalities: tuple[int, ...] = (2, 3, 4, 5, 6, 8, 10)
    growth_modality_samples: int = 16
    growth_modality_background: int = 8
    growth_samples: tuple[int, ...] = (64, 256, 1024, 4096)
    limit: float = 30.0
    """Seconds that a rival may take for one point of a growth curve before it is stopped."""
    tuned: bool = True
    """Whether each rival's fastest setting is looked for, or its usual one taken."""
    seed: int = 0

    def comparisons(self) -> list[Case]:
        """The cases of the tables, each task at every number of samples."""
        kinds: tuple[tuple[Task, int], ...] = (
            ("shapley", self.background),
            ("shapley", 0),
            ("occlusion", 0),
            ("gradient", 0),
        )
        return [
            Case(task=task, samples=samples, background=rows, seed=self.seed)
            for task, rows in kinds
            for samples in self.samples
        ]

    def by_modalities(self) -> list[Case]:
        """The cases along the number of modalities."""
        case = Case(
            task="shapley",
            network="tables",
            samples=self.growth_modality_samples,
            background=self.growth_modality_background,
            seed=self.seed,
        )
        return [replace(case, modalities=count) for count in self.growth_modalities]

    def by_samples(self) -> list[Case]:
        """The cases along the number of samples."""
        return [
            Case(task="shapley", samples=samples, background=self.background, seed=self.seed)
            for samples in self.growth_samples
        ]


BRIEF = Suite(samples=(256,), growth_modalities=(2, 4, 6, 10), growth_samples=(64, 1024), tuned=False)
"""The sizes that targets are about, and fewer points of growth: a quarter of an hour."""

QUICK = Suite(
    samples=(12,),
    background=4,
    growth_modalities=(2, 3, 4),
    growth_modality_samples=4,
    growth_modality_background=2,
    growth_samples=(8, 32),
    limit=10.0,
    tuned=False,
)
"""Sizes that show within a few minutes that everything runs; the times mean nothing."""
