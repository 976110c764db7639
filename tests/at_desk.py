"""Items, folders and small steps for the tests of the annotation desk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import modalens as ml
from audited import mirrored, obedient
from modalens.alignment import HeatMap, Record
from modalens.app.desk.items import Item, Shown

MODELS = ("glorious-42", "secretive-77")
"""Names that stand nowhere else."""

SCRIPT = "<script>document.title='owned'</script> *left* opacity"


def item(number: int, models: tuple[str, ...] = MODELS, **given: object) -> Item:
    """A sentence of a picture, and a map of each model that no other item has."""
    record = Record(
        phrase=f"Opacity {number}.",
        image=np.zeros((4, 4)),
        boxes=[(0, 0, 2, 2)],
        image_id=f"d{number}",
        patient=f"p{number}",
    )
    shown = {
        model: Shown(map=HeatMap(values=np.eye(2) * (number + 1) + place, opt_out=0.25 if place else float("nan")), record=record)
        for place, model in enumerate(models)
    }  # fmt: skip
    return Item(**({"picture": f"d{number}", "phrase": record.phrase, "maps": shown, "patient": f"p{number}"} | given))  # type: ignore[arg-type]


def items(count: int, models: tuple[str, ...] = MODELS) -> list[Item]:
    return [item(number, models) for number in range(count)]


def records(count: int, phrase: str = "") -> list[Record]:
    """A picture each with an opacity in the right or the left lung."""
    rng = np.random.default_rng(5)
    return [
        Record(
            phrase=phrase or f"Opacity in the {'left' if number % 2 else 'right'} lung.",
            image=rng.random((16, 16)),
            boxes=[(10, 4, 14, 9) if number % 2 else (2, 4, 6, 9)],
            labels=("opacity",),
            image_id=f"picture-{number}",
            patient=f"patient-{number}",
        )
        for number in range(count)
    ]


def audited_folder(folder: Path, count: int = 3, phrase: str = "") -> Path:
    """Two audits of the same records, saved with their pictures."""
    folder.mkdir()
    for name, model in zip(MODELS, (obedient, mirrored), strict=True):
        audit = ml.audit(model, records(count, phrase), perturbations=(), progress=False)
        audit.save(folder / f"{name}.nc", pictures=True)
    return folder
