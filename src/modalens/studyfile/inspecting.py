"""What there is to say of the fusion point of a study's model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from modalens.studyfile import StudyRun


def meeting(run: StudyRun, separate: bool) -> Iterator[Table | str]:
    """The fusion point of a study's model, and what is made of it; why there is none, and what to do."""
    from torch.nn import Module

    import modalens

    asked = run.settings["encoders"]
    if not isinstance(run.model, Module):
        yield (
            f"No fusion point: the model is no torch.nn.Module (it is a {type(run.model).__name__}), so its parts can't be seen, and it runs whole. "
            "If it wraps a torch module, let model: in the study file name that module."
        )
        return
    point = modalens.fusion_point(
        run.model,
        run.inputs,
        modalities=run.settings["modalities"],
        encoders="graph" if isinstance(asked, str) else asked,
    )
    yield point.table() if point.encoders else f"No fusion point was found: {point.reason}."
    if not point.exact:
        parts = ", ".join(name for name, _ in run.model.named_children())
        yield (
            f"The model runs whole. To have it split, name the submodules that encode its modalities, such as encoders: {{{next(iter(run.inputs))}: backbone}} in the study file; "
            f"the parts of the model are {parts or 'none'}."
        )
    elif asked == "whole":
        yield "It is not used: the study file asks for encoders: whole."
    elif not separate:
        yield "It is not used: running the whole model takes less time than finding it. With encoders: graph in the study file it is."
