"""What a torch model's fusion point looks like, before anything is explained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modalens.errors import InputError
from modalens.evaluation import StandIns
from modalens.evaluation.engine import Encoders, as_torch, check_encoders, few_rows
from modalens.modalities import Modality
from modalens.modalities.patients import gather
from modalens.models import Calling, Collate, Forward, adapt

if TYPE_CHECKING:
    from modalens.models.fusion import FusionPoint


def fusion_point(
    model: Any,
    inputs: Mapping[str, Any],
    *,
    modalities: Mapping[str, Modality] | None = None,
    encoders: Encoders = "graph",
    forward: Forward = None,
    collate: Collate = None,
) -> FusionPoint:
    """Where do a model's modalities meet? One encoder a modality, and the head that combines what they say.

    Exports the model's graph (a second or two), cuts it, and compares it with the whole model on a few rows. What is
    found is kept as long as the model lives and its parameters stay as they are, so that `explain` need not look again.

    Parameters
    ----------
    model : a torch module that takes modalities by keyword; put into evaluation mode, and restored.
    inputs : modality name -> samples, as for `explain`; a few are enough.
    modalities : their kinds, where they can't be inferred.
    encoders : "graph", or modality -> submodule for a model that can't be exported ({"ct": "backbone"}).

    forward, collate : how the model is called, as for `explain`.

    Returns
    -------
    FusionPoint: `.encoders` (by modality), `.head`, `.exact`; `print` shows them. Where there is no split, `.exact` is
        False and `.reason` says why.

    Raises
    ------
    InputError : the model is no torch module, the inputs don't fit it, or a submodule is named that it does not have.

    Example
    -------
    >>> import torch, modalens as ml
    >>> class Net(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.ct, self.labs, self.head = torch.nn.Linear(9, 4), torch.nn.Linear(3, 2), torch.nn.Linear(6, 1)
    ...     def forward(self, ct, labs):
    ...         return self.head(torch.cat([self.ct(ct.flatten(1)).relu(), self.labs(labs).relu()], dim=1))
    >>> point = ml.fusion_point(Net(), {"ct": torch.randn(5, 3, 3), "labs": torch.randn(5, 3)})
    >>> point.exact, {name: encoder.widths for name, encoder in point.encoders.items()}
    (True, {'ct': ((4,),), 'labs': ((2,),)})
    """
    check_encoders(encoders)
    patients = gather(inputs, modalities)
    adapted = adapt(model, Calling(forward=forward, collate=collate))
    adapted.require(patients.members)
    separable = as_torch(adapted)
    if separable is None:
        raise InputError(
            f"the model {adapted.name!r} is no torch module, so it has no fusion point that could be found; expected a torch.nn.Module, not a function around it."
        )
    stand_ins = StandIns(patients=patients, background=patients, assignments={})
    with separable.session():
        return separable.separate(few_rows(separable, stand_ins), encoders)
