"""How the model was run: split at its fusion point, so that every row was encoded once, or whole, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modalens.explanation import Explanation
from modalens.summary.wording import in_words


def how_it_ran(explanation: Explanation) -> str:
    """Whether the model was split, and how many rows went through it."""
    about = explanation.provenance
    point = about.get("fusion_point")
    encoded = in_words([f"{rows:,} of {name}" for name, rows in about["encoder_rows"].items()])
    if point is None:
        return f"The model saw {encoded}, {about['head_rows']:,} rows in all, and {about['check_rows']:,} to check it."
    if not point["exact"]:
        return f"The model ran whole ({point['reason'].rstrip('.')}), on {about['head_rows']:,} rows, and {about['check_rows']:,} to check it."
    return (
        f"The model was split at its fusion point, so that every row was encoded once: {encoded} went through its encoders, "
        f"{about['head_rows']:,} combinations of them through its head, and {about['check_rows']:,} rows through the whole model to check it."
    )


def where_modalities_meet(explanation: Explanation) -> str:
    """What was found of the fusion point: where, how well it agrees, and what crosses it. Empty for explanations from
    before it was looked for.
    """
    point = explanation.provenance.get("fusion_point")
    if point is None:
        return ""
    if not point["exact"]:
        return f"Not known, or not used: {point['reason'].rstrip('.')}."
    where = "in the model's exported graph" if point["source"] == "graph" else "at the submodules that were named"
    first = " The head's first layer was split by modality too." if point["first_layer_split"] else ""
    crossing = "; ".join(_crossing(name, point) for name in point["widths"])
    return (
        f"Found {where}; encoders and head together agree with the whole model to {point['difference']:.1g} of the output's scale. "
        f"Features that cross, and parameters before them: {crossing}; head: {point['parameters']['head']:,} parameters.{first}"
    )


def rows_a_call(batch_size: int | Mapping[str, int]) -> str:
    """Rows a call: of the whole model, or of each encoder and the head."""
    if isinstance(batch_size, Mapping):
        return ", ".join(f"{name} {rows:,}" for name, rows in batch_size.items())
    return f"{batch_size:,}"


def _crossing(name: str, point: Mapping[str, Any]) -> str:
    widths: Iterable[list[int]] = point["widths"][name]
    shapes = " and ".join("x".join(map(str, width)) or "1" for width in widths)
    return f"{name} {shapes} ({point['parameters'][name]:,})" if shapes else f"{name} none (the model ignores it)"
