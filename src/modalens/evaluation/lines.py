"""Lines at the fusion point, from what stands in to each patient: what a need for gradients reads, and costs."""

from __future__ import annotations

from dataclasses import dataclass

from modalens.baselines import Background
from modalens.evaluation.standins import StandIns
from modalens.problem import Gradients, Key, Mask, Problem


@dataclass(frozen=True, kw_only=True)
class Line:
    """A need for gradients, and where its lines start: `key` is the evaluation in which everything is absent, with as
    many draws as rows stand in; `shared` says that all patients have the same starts.
    """

    need: Gradients
    key: tuple[Key, int]
    patients: int
    shared: bool

    @property
    def draws(self) -> int:
        """The rows that stand in."""
        return self.key[1]

    @property
    def lines(self) -> int:
        """The lines to each patient."""
        return 1 if self.need.start == "mean" else self.draws

    @property
    def at_sample(self) -> bool:
        """Whether the only point is the patient, which lies on every line."""
        return self.need.positions == (1.0,)

    @property
    def rows(self) -> int:
        """Rows through the head: the points, the patients, and the starts."""
        points = 0 if self.at_sample else self.patients * self.lines * len(self.need.positions)
        return points + self.patients + self.lines * (1 if self.shared else self.patients)


def line_of(need: Gradients, problem: Problem, stand_ins: StandIns) -> Line:
    """The lines of a need."""
    key, draws = stand_ins.key(Mask.without(*problem.modalities), need.baseline, "coalition")
    rows = any(isinstance(stand_ins.baseline(name, slot), Background) for name, _, slot in key)
    drawn = min(need.draws or draws, draws) if rows else 1
    return Line(need=need, key=(key, drawn), patients=problem.samples, shared=not stand_ins.by_patient(key))
