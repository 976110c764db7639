"""Who was explained: what the model says of each patient, what is true, and which modalities there are."""

from __future__ import annotations

import numpy as np
import xarray as xr

from modalens.setting import Prepared


def roster(prepared: Prepared) -> xr.Dataset:
    """The explained patients, for all that looks at patients beside the measures.

    Returns
    -------
    Dataset: `prediction` (space, sample, output), the model's outputs on whole inputs in every space kept; `target` (sample), the
    position of the output that counts, where one does; `label`, where labels were given, as measures take them: (sample) a
    class, (sample, output) 0/1 or values, (sample, of_event) a time and whether its event was seen; `available` (sample,
    modality); `group` (sample), the number of the resampling unit, where rows share one.
    """
    problem, patients = prepared.problem, prepared.patients
    spaces = prepared.readout(prepared.raw)
    found = xr.Dataset(
        {
            "prediction": (
                ("space", "sample", "output"),
                np.stack([spaces[name] for name in problem.spaces]).astype(float),
            ),
            "available": (
                ("sample", "modality"),
                np.stack([patients.having(name) for name in problem.modalities], axis=1),
            ),
        },
        coords={
            "space": list(problem.spaces),
            "output": list(problem.outputs),
            "modality": list(problem.modalities),
            "sample": np.arange(problem.samples),
        },
    )
    if problem.target is not None:
        found["target"] = ("sample", np.asarray(problem.target))
    if problem.groups is not None:
        found["group"] = ("sample", np.unique(problem.groups, return_inverse=True)[1])
    if problem.labels is not None:
        found["label"] = (_label_axes(problem.task, problem.labels), problem.labels)
    if problem.task == "survival" and problem.labels is not None:
        found = found.assign_coords(of_event=["time", "event"])
    return found


def _label_axes(task: str, labels: np.ndarray) -> tuple[str, ...]:
    second = "of_event" if task == "survival" else "output"
    return ("sample",) if labels.ndim == 1 else ("sample", second)
