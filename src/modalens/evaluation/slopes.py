"""Gradients on lines at the fusion point, reduced to what measures need of them, patient by patient."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from modalens.errors import InputError, ModalensWarning, listed
from modalens.evaluation.encodings import Encoded, Grids, plain
from modalens.evaluation.lines import Line
from modalens.evaluation.sources import Sources
from modalens.models.cached import Cached
from modalens.models.gradients import (
    Gradient,
    flat,
    gradient,
    in_space,
    on_lines,
    participation,
    require_finite_slopes,
)
from modalens.models.readout import Readout, Selector, selected
from modalens.models.split import Arrays
from modalens.problem import Features, Slopes

POINTS_BUDGET = 4 * 2**20
"""Bytes of features in one call of the head; its gradients take a few times that."""


FEATURE_ROWS = 256
"""Patients whose features are looked at for their spread and the directions that they use."""


class FeatureSample:
    """The features of some of the patients, evenly over all of them."""

    def __init__(self, patients: int, modalities: tuple[str, ...], note: str) -> None:
        self.chosen = np.unique(np.linspace(0, patients - 1, min(patients, FEATURE_ROWS)).astype(int))
        self.modalities, self.note = modalities, note
        self.rows: dict[str, list[Tensor]] = {name: [] for name in modalities}

    def look(self, encoded: Mapping[str, Encoded], split: Cached, patients: np.ndarray) -> None:
        """Keep the features of the chosen ones among these patients."""
        own = self.chosen[(self.chosen >= patients[0]) & (self.chosen <= patients[-1])]
        for name, one in encoded.items():
            if not one.arrays:
                continue
            self.rows[name].append(flat(split.take(name, one.arrays, plain(one, own))))

    def features(self) -> Features:
        """What they tell."""
        found = [participation(torch.cat(rows)) if rows else (0, 0.0, np.nan) for rows in self.rows.values()]
        width, spread, directions = (np.array(column) for column in zip(*found, strict=True))
        return Features(width=width, spread=spread, participation=directions.astype(float), note=self.note)


class Lines:
    """The lines of one need, evaluated block by block of patients."""

    def __init__(
        self,
        line: Line,
        sources: Sources,
        split: Cached,
        readout: Readout,
        select: Selector,
        modalities: tuple[str, ...],
        outputs: int,
    ) -> None:
        self.line, self.sources, self.split, self.readout, self.select = line, sources, split, readout, select
        self.modalities = modalities
        draws = 1 if line.need.start == "mean" else line.draws
        shape = (line.patients, len(modalities), outputs)
        self.found = Slopes(
            along=np.zeros((draws, len(line.need.positions), *shape)),
            size=np.zeros(shape),
            outputs=np.zeros((line.patients, outputs)),
            starts=np.zeros((draws, line.patients, outputs)),
        )

    def evaluate(self, encoded: Mapping[str, Encoded], patients: np.ndarray, done: Callable[[int], None]) -> None:
        """The slopes of these patients."""
        encoded = {name: one for name, one in encoded.items() if one.arrays}
        here = {name: self.split.take(name, one.arrays, plain(one, patients)) for name, one in encoded.items()}
        starts = self._starts(encoded, patients)
        self._at_patients(here, starts, patients, done)
        for draw, start in enumerate(starts):
            self.found.starts[draw][patients] = self._outputs(start, len(patients))
        done(len(starts) * (len(patients) if not self.line.shared else 1))
        if not self.line.at_sample:
            self._on_lines(here, starts, patients, done)

    def _starts(self, encoded: Mapping[str, Encoded], patients: np.ndarray) -> list[dict[str, Arrays]]:
        """Where each line starts: encodings with one row for all of these patients, or one for each."""
        key, draws = self.line.key
        whose = patients[:1] if self.line.shared else patients
        rows: list[dict[str, Arrays]] = [{} for _ in range(draws)]
        where = Grids(self.sources, encoded).of(key, whose, np.arange(draws), draws)
        for name, one in encoded.items():
            index = np.broadcast_to(where[name], (len(whose), draws)).copy()
            for draw in range(draws):
                rows[draw][name] = self.split.take(name, one.arrays, index[:, draw])
        if self.line.need.start == "rows" or draws == 1:
            return rows
        return [
            {
                name: tuple(_mean([row[name][place] for row in rows]) for place in range(len(rows[0][name])))
                for name in encoded
            }
        ]

    def _at_patients(
        self,
        here: Mapping[str, Arrays],
        starts: list[dict[str, Arrays]],
        patients: np.ndarray,
        done: Callable[[int], None],
    ) -> None:
        at = gradient(self.split, self.readout, self.select, here, self.line.need.space)
        done(len(patients))
        self._require_reached(here, starts[0], at)
        self.found.outputs[patients] = _numbers(at.outputs)
        for place, name in enumerate(self.modalities):
            if name not in here or not at.by_modality[name].shape[2]:
                continue
            slope = at.by_modality[name]
            size = slope.abs().sum(2).T
            require_finite_slopes(name, size)
            self.found.size[patients, place] = _numbers(size)
            if self.line.at_sample:
                here_and_starts = flat(here[name]), [flat(start[name]) for start in starts]
                self.found.along[:, 0, patients, place] = _numbers(_against(slope, *here_and_starts))

    def _on_lines(
        self,
        here: Mapping[str, Arrays],
        starts: list[dict[str, Arrays]],
        patients: np.ndarray,
        done: Callable[[int], None],
    ) -> None:
        positions = torch.tensor(self.line.need.positions, dtype=torch.float64, device=self.split.model.device)
        bytes_a_row = sum(self.split.row_bytes[name] for name in here) * len(positions)
        step = max(1, POINTS_BUDGET // max(bytes_a_row, 1))
        for draw, start in enumerate(starts):
            for first in range(0, len(patients), step):
                rows = np.arange(first, min(first + step, len(patients)))
                end = {name: _rows(one, rows) for name, one in here.items()}
                begin = {name: one if len(one[0]) == 1 else _rows(one, rows) for name, one in start.items()}
                along = on_lines(self.split, self.readout, self.select, begin, end, positions, self.line.need.space)
                for place, name in enumerate(self.modalities):
                    if name in along:
                        require_finite_slopes(name, along[name])
                        self.found.along[draw, :, patients[rows], place] = _numbers(along[name])
                done(len(rows) * len(positions))

    def _outputs(self, encodings: Mapping[str, Arrays], patients: int) -> np.ndarray:
        with torch.no_grad():
            found = in_space(selected(self.split.head(encodings), self.select), self.readout, self.line.need.space)
        return np.broadcast_to(_numbers(found), (patients, found.shape[1]))

    def _require_reached(self, here: Mapping[str, Arrays], start: Mapping[str, Arrays], at: Gradient) -> None:
        """Tell a modality that the model ignores from one whose gradient is lost on the way to the output: there a 0
        would be wrong.
        """
        lost = sorted({name for name, place in at.unreached if self._matters(here, start, name, place)})
        if not lost:
            return
        why = "torch.no_grad, detach, a comparison or rounding stands between them"
        if len(at.unreached) == sum(one.is_floating_point() for tensors in here.values() for one in tensors):
            raise InputError(
                f"FusionGradient: the output depends on {listed(lost)} and has no gradient with respect to any modality: {why}; expected an output that can be differentiated. "
                "Take that out of the model's forward, or use Shapley or Occlusion, which need no gradients."
            )
        warnings.warn(
            f"FusionGradient: the output depends on {listed(lost)}, and no gradient reaches it: {why}. Its share is too small, and 0 where nothing else of it reaches the output; "
            "take that out of the model's forward, or believe Shapley or Occlusion, which need no gradients.",
            ModalensWarning,
            stacklevel=2,
        )

    def _matters(self, here: Mapping[str, Arrays], start: Mapping[str, Arrays], name: str, place: int) -> bool:
        """Whether the output changes where this tensor is that of the start."""
        own = list(here[name])
        own[place] = start[name][place].expand_as(own[place])
        rows = len(own[place])
        before, after = self._outputs(here, rows), self._outputs({**here, name: tuple(own)}, rows)
        return bool(np.abs(after - before).max() > 1e-6 * max(np.abs(before).max(), 1e-12))


def _rows(encoding: Arrays, rows: np.ndarray) -> Arrays:
    """A run of rows of an encoding."""
    return tuple(one[rows[0] : rows[-1] + 1] for one in encoding)


def _against(slope: Tensor, features: Tensor, starts: list[Tensor]) -> Tensor:
    """sum_j g_j (h_j - b_j) for every start, (start, patient, output), of slopes (output, patient, features)."""
    if len(starts[0]) == 1:
        shared = torch.cat(starts).double()
        along = torch.einsum("crj,rj->rc", slope.double(), features.double())
        return along - torch.einsum("crj,kj->krc", slope.double(), shared)
    return torch.stack([torch.einsum("crj,rj->rc", slope, features - start) for start in starts])


def _mean(rows: list[Tensor]) -> Tensor:
    """The mean of features; of what is no real number, the first."""
    return torch.stack(rows).mean(0) if rows[0].is_floating_point() else rows[0]


def _numbers(tensor: Tensor) -> np.ndarray:
    return tensor.detach().double().cpu().numpy()
