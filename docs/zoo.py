"""The zoo: a model of every kind of fusion, and where modalens finds that its modalities meet.

`python docs/zoo.py` finds the fusion point of each and writes docs/zoo.md; tests/models/test_zoo.py holds each to what
`specimens` expects of it.
"""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from specimens import ZOO, Shape, Specimen
from torch import Tensor

import modalens as ml

__all__ = ["ZOO", "Finding", "Specimen", "examine", "page"]

PAGE = Path(__file__).with_suffix(".md")
SHOWN = "bert"

TEXT = """\
# The fusion point, and a zoo of models that it is found in

A multimodal model looks at each modality by itself for a while, and at some place brings them together. That place is its **fusion point**. What comes before it are the
**encoders**, one a modality; what lies behind it is the **head**. Of each modality, only a few numbers cross from one side to the other.

It is worth knowing for two reasons.

- **Speed.** To measure a modality, it is replaced by that of other patients, many times. What its encoder says of a patient does not depend on what the others are replaced
  by: every encoder runs once for each patient and each background row, and only the head runs for every combination.
- **Meaning.** Measures that look inside the model (gradients at the fusion point) look there.

## How it is found

Nothing has to be declared. The model's graph is exported (`torch.export`), and every tensor in it is marked with the modalities that it depends on. The last tensors that
depend on one modality alone are the fusion point. If patients share an axis with something else there (attention heads, slices), the tensors before that are taken, so that
each row of an encoding belongs to one patient.

What was split is compared with the whole model before it is used: on a few patients, on patients whose modalities are exchanged, and on a single one. Where they differ, the
model runs whole, and a warning says so. A model without a fusion point of this kind is explained all the same, at the price of a run of the whole model for every combination.

## What is shown

```python
point = ml.fusion_point(model, inputs)  # inputs: modality name -> a few patients
print(point)
```

of a BERT beside a CNN prints

```
{shown}
```

`point.encoders["report"](samples)` gives the tensors that cross, `point.head({{...}})` the model's output from them. `modalens inspect study.yaml` prints the same for
a study file. In an explanation, `provenance["fusion_point"]` says what was found, and `provenance["encoder_rows"]` how many rows went through each encoder.

- *widths*: the shapes of what crosses, without the patient's axis. Several where the head reads a modality at several places; none where the model ignores it.
- *parameters*: the numbers that were learned on each side. An encoder that two modalities share is counted for both.
- *operations*: steps of the graph; 0 where a modality enters the head as it is, as in early fusion.

## Where it is not found

A model can't be exported where Python itself decides on the values of tensors (`if score > 0`, `.item()`, a loop over patients). Then `point.source` is `"none"` and `point.reason` says why;
for the model `routed` below:

> {unsplit}

Name the encoders, and the model is split at what these submodules return:

```python
point = ml.fusion_point(model, inputs, encoders={{"ct": "backbone", "report": "bert.encoder"}})
explanation = ml.explain(model, inputs, encoders={{"ct": "backbone", "report": "bert.encoder"}}, ...)
```

A modality without a name enters the head as it is. Two modalities may name the same submodule. Each named one must return tensors whose first axis is the patient, and be
called once for each modality that names it. `encoders="whole"` asks for no split and does not warn; `encoders="graph"` makes it an error where there is none.

## The zoo

{count} models with random weights, built from public layers ({by_graph} split by their graph, {by_names} by names). *Crosses*: shapes. *Seconds*: to export, split, compare, time.
*Difference*: the largest one between the split and the whole model on 32 fresh patients with exchanged modalities, as a share of the output's scale; at most {worst:.0e} in float32.

| model | fusion | crosses | in words | encoder parameters | head parameters | seconds | difference |
|---|---|---|---|---|---|---|---|
{rows}

The models are in [fusions.py](fusions.py), what is expected of each in [specimens.py](specimens.py). `python docs/zoo.py` wrote this page ({versions}).
"""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found in one specimen."""

    point: ml.FusionPoint
    seconds: float
    difference: float
    """The largest difference between the split and the whole model, on fresh rows that mix patients, as a share of
    the output's scale."""


def examine(specimen: Specimen, patients: int = 32) -> Finding:
    """Find the fusion point, and compare the split with the whole model."""
    model = specimen.model().eval()
    started = time.perf_counter()
    point = ml.fusion_point(model, specimen.inputs(4), encoders=specimen.encoders or "graph")
    seconds = time.perf_counter() - started
    inputs = specimen.inputs(patients, seed=1)
    order = {name: np.roll(np.arange(patients), place) for place, name in enumerate(inputs)}
    expected = specimen.output(model, {name: values[order[name]] for name, values in inputs.items()})
    return Finding(point=point, seconds=seconds, difference=_difference(specimen, point, inputs, order, expected))


def _difference(
    specimen: Specimen,
    point: ml.FusionPoint,
    inputs: Mapping[str, np.ndarray],
    order: Mapping[str, np.ndarray],
    expected: Tensor,
) -> float:
    if point.head is None:
        return float("nan")
    with torch.no_grad():
        encodings = {
            name: tuple(one[order[name]] for one in encoder(torch.from_numpy(inputs[name])))
            for name, encoder in point.encoders.items()
        }
        found = specimen.selected(point.head(encodings))
    return float((found - expected).abs().max() / expected.abs().max())


def row(name: str, specimen: Specimen, finding: Finding) -> str:
    """A line of the page's table."""
    encoders = finding.point.encoders
    head = finding.point.head
    cells = (
        f"`{name}`",
        specimen.fusion.removesuffix("."),
        "; ".join(f"{one} {_widths(encoder.widths)}" for one, encoder in encoders.items()) or finding.point.reason,
        specimen.words,
        ", ".join(f"{encoder.parameters:,}" for encoder in encoders.values()),
        f"{head.parameters:,}" if head is not None else "",
        f"{finding.seconds:.2f}",
        f"{finding.difference:.0e}" if finding.difference else "0",
    )
    return "| " + " | ".join(cells) + " |"


def _widths(widths: tuple[Shape, ...]) -> str:
    return " and ".join("×".join(map(str, width)) for width in widths) or "nothing"


def page() -> str:
    """The whole page, as Markdown."""
    torch.set_num_threads(1)
    examine(ZOO["concatenation"])  # the first export of a process loads the compiler, which is not the model's time
    findings = {name: examine(specimen) for name, specimen in ZOO.items()}
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("modalens", "torch", "transformers"))
    unsplit = next(specimen for specimen in ZOO.values() if specimen.encoders)
    return TEXT.format(
        shown="\n".join(line.rstrip() for line in str(findings[SHOWN].point).strip().splitlines()),
        unsplit=ml.fusion_point(unsplit.model(), unsplit.inputs(4)).reason,
        count=len(ZOO),
        by_graph=sum(finding.point.source == "graph" for finding in findings.values()),
        by_names=sum(finding.point.source == "names" for finding in findings.values()),
        rows="\n".join(row(name, ZOO[name], finding) for name, finding in findings.items()),
        worst=np.nanmax([one.difference for name, one in findings.items() if ZOO[name].dtype is np.float32]),
        versions=f"Python {platform.python_version()}, {versions}, one thread of {platform.machine()}",
    )


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.name}")


if __name__ == "__main__":
    main()
