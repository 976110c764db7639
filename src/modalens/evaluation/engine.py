"""Which way a model is run: split at its fusion point, with every encoding kept, or whole for every mask."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from modalens.errors import InputError, choice, listed, nearest
from modalens.evaluation.plan import Plan, default_batch, merge
from modalens.evaluation.standins import StandIns
from modalens.modalities.patients import Patients
from modalens.models import Model, read
from modalens.models.readout import Readout, Selector
from modalens.models.split import Split, Whole
from modalens.problem import Gradients, Need, Problem

if TYPE_CHECKING:
    from modalens.models.fusion import FusionPoint
    from modalens.models.torch_module import TorchModel

WORTH_SPLITTING = 3.0
"""Seconds that the whole model must be expected to take before its graph is exported, which takes one or two."""

BatchSize = int | Mapping[str, int] | None
"""Rows a call: for everything, or by modality and for the "head"."""

Encoders = Mapping[str, str] | str
"""How encoders are found: "auto", "graph", "whole", or modality -> submodule."""

MODES = ("auto", "graph", "whole")


def check_batch_size(batch_size: BatchSize, modalities: Iterable[str]) -> None:
    """Refuse what is no number of rows, and rows of what is no modality."""
    known = (*modalities, "head")
    unknown = [name for name in batch_size if name not in known] if isinstance(batch_size, Mapping) else []
    if unknown:
        raise InputError(
            f"batch_size names {listed(unknown)}{nearest(str(unknown[0]), known)}: give rows a call for {listed(known)}, as provenance['batch_size'] has them."
        )
    rows = list(batch_size.values()) if isinstance(batch_size, Mapping) else [batch_size]
    if batch_size is not None and any(not isinstance(one, int) or isinstance(one, bool) or one < 1 for one in rows):
        raise InputError(
            f"batch_size={batch_size!r}: give a whole number of rows, at least 1, or None; or one by modality and for the 'head', as provenance['batch_size'] has them."
        )


def check_encoders(encoders: Encoders) -> None:
    """Refuse a way of finding encoders that there is not."""
    if not isinstance(encoders, Mapping):
        choice("encoders", encoders, MODES)


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The model as it is run, the stand-ins that it needs, its fusion point where it was looked for, and why it runs
    whole where it does.
    """

    split: Split
    stand_ins: StandIns
    point: FusionPoint | None = None
    reason: str = ""
    checked: int = 0

    def differentiable(self, patients: Patients, readout: Readout, select: Selector) -> bool:
        """Whether gradients at the fusion point can be had: tried on a few patients."""
        point = self.point
        if patients.has or not self.split.encoded or point is None or not point.real or readout.custom is not None:
            return False
        from modalens.models.cached import Cached
        from modalens.models.gradients import has_gradients

        assert isinstance(self.split, Cached)
        few = patients.take(patients.first(2))
        encodings = {name: self.split.encode(name, samples) for name, samples in few.samples.items()}
        return has_gradients(self.split, readout, select, {name: one for name, one in encodings.items() if one})

    def describe(self) -> dict[str, Any]:
        """For provenance: what was found, and why it is used or not."""
        point = self.point
        if point is None or not point.exact:
            return {"source": "none", "exact": False, "reason": self.reason}
        return {
            "source": point.source,
            "exact": point.exact,
            "difference": point.difference,
            "widths": {name: [list(width) for width in one.widths] for name, one in point.encoders.items()},
            "parameters": {name: one.parameters for name, one in point.encoders.items()}
            | {"head": point.head_parameters},
            "first_layer_split": point.first_layer is not None,
            "reason": self.reason,
        }


def known_split(model: Model, stand_ins: StandIns, encoders: Encoders) -> FusionPoint | None:
    """The model's split from before, if there is one that can be used."""
    separable = as_torch(model)
    if separable is None or encoders == "whole":
        return None
    point = separable.remembered(few_rows(separable, stand_ins), encoders)
    return point if point is not None and point.exact else None


def still_holds(model: Model, point: FusionPoint, patients: Patients, raw: np.ndarray, select: Selector) -> bool:
    """Whether a split from before gives these raw outputs of the first patients. Where it does not, the model has
    changed in a way that no parameter shows, and all that is known of it is forgotten.
    """
    separable = as_torch(model)
    assert separable is not None
    assert point.head is not None
    first = patients.take(patients.first(len(raw)))
    said = point.head(
        {name: point.encoders[name](separable.tensor(name, samples)) for name, samples in first.restored().items()}
    )
    apart = np.abs(read(said, len(raw), select) - raw).max() / max(np.abs(raw).max(), 1e-12)
    if apart > point.tolerance:
        separable.forget()
    return bool(apart <= point.tolerance)


def open_engine(
    model: Model,
    stand_ins: StandIns,
    needs: Sequence[Need],
    problem: Problem,
    *,
    known: FusionPoint | None = None,
    encoders: Encoders = "auto",
    batch_size: BatchSize = None,
) -> Engine:
    """The engine for these needs. A split is made where the user asks for it, where gradients need it, and where the
    whole model would take longer than finding it; one that is `known` is used.

    Raises InputError where encoders or gradients are asked for and the model has none.
    """
    separable = as_torch(model)
    gradients = any(isinstance(need, Gradients) for need in needs)
    asked = isinstance(encoders, Mapping) or encoders == "graph"
    if separable is not None and known is not None and (known.real or not gradients):
        return _split_engine(separable, known, stand_ins, batch_size)
    patients = stand_ins.patients
    whole = Whole(
        model,
        patients.modalities,
        patients.bytes_by_modality,
        _whole_batch(batch_size) or default_batch(patients.row_bytes),
    )
    if separable is None:
        _refuse_without_torch(model, asked, gradients)
        return Engine(split=whole, stand_ins=stand_ins, reason="it is no torch module, so its parts can't be seen")
    if encoders == "whole" and not gradients:
        return Engine(split=whole, stand_ins=stand_ins, reason="encoders='whole' asks for it")
    few = few_rows(separable, stand_ins)
    if encoders != "whole":
        if not (asked or gradients) and not _pays(separable, few, merge(needs, problem, stand_ins, whole)):
            why = "finding the fusion point would take longer than running the whole model"
            return Engine(split=whole, stand_ins=stand_ins, reason=why)
        point = separable.separate(few, encoders)
        if point.exact and (point.real or not gradients):
            return _split_engine(separable, point, stand_ins, batch_size, checked=point.check_rows)
        if point.exact:
            point = replace(
                point, reason="a modality crosses its fusion point in whole numbers, which have no gradient"
            )
        if encoders == "graph" and not point.exact:
            raise InputError(
                f"encoders='graph': the model {model.name!r} can't be split at its fusion point: {point.reason}. "
                "Name its encoders, such as encoders={'ct': 'backbone'}, or leave encoders out to run it whole."
            )
        if not point.exact:
            separable.warn_unused(point)
    else:
        point = separable.no_split("encoders='whole' asks for it")
    if not gradients:
        return Engine(split=whole, stand_ins=stand_ins, point=point, reason=point.reason, checked=point.check_rows)
    return _input_engine(separable, point, stand_ins, few, whole.batch["head"])


def _pays(model: TorchModel, few: Mapping[str, Any], plan: Plan) -> bool:
    """Whether the whole model would take longer than finding its fusion point."""
    return model.seconds(few) * plan.rows > WORTH_SPLITTING


def few_rows(model: TorchModel, stand_ins: StandIns) -> dict[str, Any]:
    """A few rows of every modality as the model takes them: explained patients, and background patients beside them,
    so that mixing them is mixing different patients.
    """
    patients, background = stand_ins.patients, stand_ins.background
    own = patients.take(patients.first(3))
    rows = own.joined(background.take(np.arange(min(4 - min(len(own), 3), len(background)))[::-1]))
    return {name: model.tensor(name, samples) for name, samples in rows.restored().items()}


def as_torch(model: Model) -> TorchModel | None:
    """The model where it is a torch module, whose parts can be seen; torch is not imported for those who have none."""
    if "modalens.models.torch_module" not in sys.modules:
        return None
    from modalens.models.torch_module import TorchModel

    return model if isinstance(model, TorchModel) else None


def _refuse_without_torch(model: Model, asked: bool, gradients: bool) -> None:
    if asked:
        raise InputError(
            f"encoders: the model {model.name!r} is no torch module, so it has no encoders that could be kept; expected a torch.nn.Module. "
            "Give the module itself, or leave encoders out."
        )
    if gradients:
        raise InputError(
            f"FusionGradient: the model {model.name!r} is no torch module, so it has no gradients; expected a torch.nn.Module. "
            "Give the module itself, or use Shapley or Occlusion, which need outputs only."
        )


def _split_engine(
    model: TorchModel, point: FusionPoint, stand_ins: StandIns, batch_size: BatchSize, checked: int = 0
) -> Engine:
    from modalens.models.cached import split_of

    ignored = frozenset(name for name, encoder in point.encoders.items() if not encoder.widths)
    return Engine(
        split=split_of(model, point, stand_ins.patients.modalities, _batches(point, batch_size)),
        stand_ins=stand_ins.ignoring(ignored),
        point=point,
        checked=checked,
    )


def _input_engine(
    model: TorchModel, point: FusionPoint, stand_ins: StandIns, few: Mapping[str, Any], rows: int
) -> Engine:
    """The model run whole, with gradients at its inputs."""
    from modalens.models.cached import AtInputs
    from modalens.models.separation import INPUTS

    inputs = model.separate(few, INPUTS)
    if not inputs.exact:
        raise InputError(
            f"FusionGradient: the model {model.name!r} has no gradients at a fusion point ({point.reason}), and none at its inputs either: {inputs.reason}; expected real numbers. "
            "Name its encoders or embeddings, such as encoders={'report': 'bert.embeddings'}, or use Shapley or Occlusion."
        )
    return Engine(
        split=AtInputs(model, inputs, stand_ins.patients.modalities, {"head": rows}, point.reason),
        stand_ins=stand_ins,
        point=replace(point, exact=False),
        reason=point.reason,
        checked=point.check_rows + inputs.check_rows,
    )


def _whole_batch(batch_size: BatchSize) -> int | None:
    """Rows a call of the whole model: its head's, where they were chosen for parts of it."""
    return batch_size.get("head") if isinstance(batch_size, Mapping) else batch_size


def _batches(point: FusionPoint, batch_size: BatchSize) -> dict[str, int]:
    """Rows a call: as given, or as measured when the model was split."""
    if isinstance(batch_size, Mapping):
        return dict(point.batch) | dict(batch_size)
    return dict(point.batch) if batch_size is None else dict.fromkeys(point.batch, batch_size)
