"""What the same numbers cost in modalens, captum and shapiq: `make bench`.

One process, one thread, the same three-modality torch model and the same masks for all. Values are compared before
anything is timed. Rivals and modalens take turns, so that a busy machine slows all alike; the table gives medians,
their range, ratios to modalens, and the rows that really went through the model.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from captum.attr import FeatureAblation, ShapleyValues
from rich.console import Console
from rich.table import Table
from shapiq.game_theory.exact import ExactComputer
from torch import nn

import modalens as ml

NAMES = ("image", "series", "table")
KINDS = {"image": ml.Image(patch=16), "series": ml.Series(window=1), "table": ml.Tabular()}


class Network(nn.Module):
    """An image encoder, a transformer over 32 steps and a table encoder, concatenated into a small head; counts the
    rows that it sees.
    """

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(
            *(
                layer
                for width, wider in ((1, 32), (32, 64), (64, 128))
                for layer in (nn.Conv2d(width, wider, 3, stride=2, padding=1), nn.ReLU())
            ),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(2048, 64),
        )
        self.series = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, batch_first=True), 2, enable_nested_tensor=False
        )
        self.table = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 64))
        self.head = nn.Sequential(nn.Linear(192, 64), nn.ReLU(), nn.Linear(64, 3))
        self.rows = 0

    def forward(self, image: torch.Tensor, series: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        self.rows += len(image)
        return self.head(torch.cat([self.image(image), self.series(series).mean(1), self.table(table)], dim=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Network().eval()
    inputs = {
        "image": torch.randn(chosen.samples, 1, 64, 64),
        "series": torch.randn(chosen.samples, 32, 64),
        "table": torch.randn(chosen.samples, 32),
    }
    console = Console(width=130)
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("modalens", "captum", "shapiq", "torch", "numpy")
    )
    console.print(
        f"{chosen.samples} samples, single baseline of zeros, raw outputs, one thread, {chosen.repeats} repeats; {versions}",
        highlight=False,
    )
    warnings.simplefilter("ignore")
    compare(
        console, "Shapley values of three modalities, all outputs", shapley_rivals(model, inputs), model, chosen.repeats
    )
    compare(
        console,
        "Occlusion of 16 patches, 32 steps and 32 columns, all outputs",
        occlusion_rivals(model, inputs),
        model,
        chosen.repeats,
    )


def shapley_rivals(model: Network, inputs: dict[str, torch.Tensor]) -> dict[str, Callable[[], np.ndarray]]:
    """Each way to the values (samples, modalities, outputs)."""
    arguments = tuple(inputs.values())
    masks = tuple(torch.full((1, *values.shape[1:]), player) for player, values in enumerate(arguments))

    def modalens() -> np.ndarray:
        found = ml.explain(
            model, inputs, measures=[ml.Shapley()], modalities=KINDS, baseline="zeros", output="raw", confidence=None
        )
        return found.shapley.values.values

    def captum() -> np.ndarray:
        with torch.no_grad():
            each = [ShapleyValues(model).attribute(arguments, target=output, feature_mask=masks) for output in range(3)]
        return np.stack([np.stack([values.flatten(1)[:, 0].numpy() for values in one], axis=1) for one in each], axis=2)

    def shapiq() -> np.ndarray:
        found = np.empty((len(arguments[0]), 3, 3))
        for sample in range(len(found)):
            rows = coalition_outputs(model, {name: values[sample : sample + 1] for name, values in inputs.items()})
            for output in range(3):
                computer = ExactComputer(
                    game=lambda coalitions, output=output, rows=rows: rows[coalitions @ [1, 2, 4], 0, output],
                    n_players=3,
                )
                found[sample, :, output] = computer("SV").get_n_order_values(1)
        return found

    def loop() -> np.ndarray:
        values = coalition_outputs(model, inputs)
        weights = {0: 1 / 3, 1: 1 / 6, 2: 1 / 3}
        found = np.zeros((len(arguments[0]), 3, 3))
        for player in range(3):
            for coalition in range(8):
                if not coalition >> player & 1:
                    found[:, player] += weights[coalition.bit_count()] * (
                        values[coalition | 1 << player] - values[coalition]
                    )
        return found

    return {
        "modalens": modalens,
        "captum ShapleyValues": captum,
        "shapiq ExactComputer": shapiq,
        "a plain batched loop": loop,
    }


def coalition_outputs(model: Network, inputs: dict[str, torch.Tensor]) -> np.ndarray:
    """The outputs of all coalitions, what is absent set to zero: (8, samples, outputs)."""
    with torch.no_grad():
        each = [
            model(
                **{
                    name: values if coalition >> player & 1 else torch.zeros_like(values)
                    for player, (name, values) in enumerate(inputs.items())
                }
            )
            for coalition in range(8)
        ]
    return torch.stack(each).numpy().astype(float)


def occlusion_rivals(model: Network, inputs: dict[str, torch.Tensor]) -> dict[str, Callable[[], np.ndarray]]:
    """Each way to p0 - p_l, (samples, parts, outputs)."""
    arguments = tuple(inputs.values())
    patches = (torch.arange(64)[:, None] // 16 * 4 + torch.arange(64)[None, :] // 16)[None, None]
    masks = (patches, 16 + torch.arange(32)[None, :, None].expand(1, 32, 64), 48 + torch.arange(32)[None])

    def modalens() -> np.ndarray:
        found = ml.explain(
            model, inputs, measures=[ml.Occlusion()], modalities=KINDS, baseline="zeros", output="raw", confidence=None
        ).occlusion.parts
        return np.concatenate([found[name].values for name in NAMES], axis=1)

    def captum() -> np.ndarray:
        with torch.no_grad():
            each = [
                FeatureAblation(model).attribute(arguments, target=output, feature_mask=masks, perturbations_per_eval=1)
                for output in range(3)
            ]
        firsts = [
            [int((mask == part).flatten().nonzero()[0]) for part in mask.unique()]
            for mask in (masks[0].expand(1, 1, 64, 64), masks[1], masks[2])
        ]
        return np.stack(
            [
                np.concatenate(
                    [values.flatten(1)[:, first].numpy() for values, first in zip(one, firsts, strict=True)], axis=1
                )
                for one in each
            ],
            axis=2,
        )

    def loop() -> np.ndarray:
        with torch.no_grad():
            present = model(*arguments).numpy().astype(float)
            changes = []
            for player, (values, mask) in enumerate(zip(arguments, masks, strict=True)):
                for part in mask.unique():
                    occluded = torch.where(mask == part, torch.zeros(()), values)
                    changes.append(
                        present
                        - model(*(occluded if other == player else arguments[other] for other in range(3))).numpy()
                    )
        return np.stack(changes, axis=1)

    return {"modalens": modalens, "captum FeatureAblation, one target a call": captum, "a plain batched loop": loop}


def compare(
    console: Console, title: str, rivals: dict[str, Callable[[], np.ndarray]], model: Network, repeats: int
) -> None:
    """Assert equal values, then time all in turn."""
    expected, rows = None, {}
    for name, run in rivals.items():
        model.rows = 0
        found = run()
        rows[name] = model.rows
        expected = found if expected is None else expected
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max(), err_msg=name)
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for _ in range(repeats):
        for name, run in rivals.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    table = Table(
        "", "median s", "range s", "times modalens", "rows through the model", title=title, title_justify="left"
    )
    own = statistics.median(seconds["modalens"])
    for name, times in seconds.items():
        median = statistics.median(times)
        table.add_row(
            name, f"{median:.3f}", f"{min(times):.3f} to {max(times):.3f}", f"{median / own:.2f}", f"{rows[name]:,}"
        )
    console.print(table)


if __name__ == "__main__":
    main()
