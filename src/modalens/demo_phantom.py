"""The demonstration of the audit: train dual encoders on a chest phantom, as published and repaired, and audit both."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from modalens.alignment import Audit, Phantom, Record, audit
from modalens.alignment.contrast.network import DualEncoder
from modalens.alignment.contrast.recipes import RECIPES, keep, trained
from modalens.alignment.phantom import SIZE
from modalens.alignment.readers.jsonl import write_jsonl
from modalens.alignment.result import SWAP
from modalens.findings import report_on
from modalens.plots.phantom import phantom_figure
from modalens.report.folder import open_folder

SHOWN = {"failing": "published, stripped", "repaired": "repaired"}
"""The two models, by the names of their folders."""

STUDIES, STEPS, TESTS = 2000, 450, 150

MODEL = """\
\"\"\"The model of this folder, as it was trained: {words}.\"\"\"

from pathlib import Path

from modalens.alignment.contrast.recipes import kept


def model():
    \"\"\"Weights are read as plain numbers; nothing in their file is executed.\"\"\"
    return kept({recipe!r}, Path(__file__).with_name("weights.npz"))
"""

STUDY = """\
# {words}
model: model.py:model
records: {{file: records.jsonl, images: pictures}}
training: {{file: training.jsonl, images: pictures}}   # where findings lay in training, for the mean-box baseline; their pictures are left out
seed: {seed}
folder: .
"""


def run_phantom(folder: Path, *, seed: int = 0, console: Console) -> dict[str, Audit]:
    """Train a model as published on reports without sides, and one with remedies on the same reports; audit both, print what was
    found, and write a folder in which the app finds audits, pictures and models.
    """
    started = time.perf_counter()
    torch.set_num_threads(1)
    folder = open_folder(folder)
    test = Phantom().records(TESTS, seed=5000 + seed)
    console.print(
        f"[bold]A chest phantom: does the highlighted region show what the sentence says?[/bold]\n{TESTS} drawn patients with their reports; in three "
        f"of ten with findings both lungs show the same kind, "
        "so that only the text can choose. "
        "Two models learn from reports of which 95 % leave out “left” and “right”: one as published, one repaired.",
        highlight=False,
    )
    figure = phantom_figure(test)
    for ending in ("svg", "png"):
        figure.savefig(folder / f"phantom.{ending}", dpi=150, bbox_inches="tight")
    found = {}
    for name, recipe in SHOWN.items():
        model, training = trained(recipe, seed, studies=STUDIES, steps=STEPS)
        found[name] = audit(model, test, training=training, seed=seed)
        console.print(f"\n[bold]{name.capitalize()}[/bold] ({RECIPES[recipe].words})", highlight=False)
        for sentence in found[name].words:
            console.print(f"  • {sentence}", highlight=False, markup=False)
        found[name].write(open_folder(folder / name), pictures=True)
        write_study(folder / name, model, recipe, test, training, seed=seed)
    console.print(_beside(found))
    studies = " ".join(f"--study {folder / name / 'study.yaml'}" for name in SHOWN)
    console.print(
        f"\nDone in {time.perf_counter() - started:.0f} s. "
        f"Open {report_on(folder)}, both audits on one page; the phantom is drawn in {folder / 'phantom.png'}.\n"
        f"To change sentences and see the maps follow, or not: modalens app {folder} {studies}",
        highlight=False,
        soft_wrap=True,
    )
    return found


def write_study(
    folder: Path, model: DualEncoder, recipe: str, test: Sequence[Record], training: Sequence[Record], *, seed: int
) -> Path:
    """Write what it takes to audit a model again, and to ask it in the app: `study.yaml`, `model.py`, the weights as plain
    arrays, the records and their pictures. The study file is returned. Raises InputError where the folder can't be written to.
    """
    pictures = open_folder(folder / "pictures")
    keep(model, folder / "weights.npz")
    for record in test:
        np.save(pictures / f"{record.image_id}.npy", record.pixels(), allow_pickle=False)
    np.save(pictures / "none.npy", np.zeros((SIZE, SIZE), dtype=np.uint8), allow_pickle=False)
    write_jsonl(
        [replace(one, image=pictures / f"{one.image_id}.npy") for one in test], folder / "records.jsonl", pictures
    )
    write_jsonl([replace(one, image=pictures / "none.npy") for one in training], folder / "training.jsonl", pictures)
    said = {"words": RECIPES[recipe].words, "recipe": recipe, "seed": seed}
    (folder / "model.py").write_text(MODEL.format(**said), encoding="utf-8")
    study = folder / "study.yaml"
    study.write_text(STUDY.format(**said), encoding="utf-8")
    return study


def _beside(found: dict[str, Audit]) -> Table:
    """The end-points of both models."""
    shown = Table(title="Before and after", title_justify="left")
    for column in (
        "model",
        "flip rate (bilateral)",
        "interval",
        "AUROC",
        "J of the swap",
        "wrong lung",
        "wrong lung after the swap",
    ):
        shown.add_column(column)
    for name, one in found.items():
        low, high = one.interval.flip_rate.values
        shown.add_row(
            name,
            f"{float(one.flip_rate):.2f}",
            f"{low:.2f} to {high:.2f}",
            f"{float(one.scores.sel(subset='all', score='auroc')):.2f}",
            f"{float(one.moved.sel(condition=SWAP)):.3f}",
            f"{float(one.wrong_lung.isel(condition=0)):.2f}",
            f"{float(one.wrong_lung.sel(condition=SWAP)):.2f}",
        )
    return shown
