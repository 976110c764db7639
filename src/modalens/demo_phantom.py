"""The demonstration of the audit: train dual encoders on a chest phantom, as published and repaired, and audit both."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from modalens.alignment import Audit, Phantom, audit
from modalens.alignment.contrast.recipes import RECIPES, trained
from modalens.alignment.result import SWAP
from modalens.plots.phantom import phantom_figure
from modalens.report.folder import open_folder

SHOWN = {"failing": "published, stripped", "repaired": "repaired"}
"""The two models, by the names of their folders."""

STUDIES, STEPS, TESTS = 2000, 450, 150


def run_phantom(folder: Path, *, seed: int = 0, console: Console) -> dict[str, Audit]:
    """Train a model as published on reports without sides, and one with remedies on the same reports; audit both, print what was
    found, and write a folder.
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
        found[name].write(open_folder(folder / name))
    console.print(_beside(found))
    console.print(
        f"\nDone in {time.perf_counter() - started:.0f} s. "
        f"Open {folder / 'failing' / 'audit.html'} and {folder / 'repaired' / 'audit.html'}; the phantom is drawn in {folder / 'phantom.png'}.",
        highlight=False,
        soft_wrap=True,
    )
    return found


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
