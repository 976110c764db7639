"""What was found, with everything needed to trust it: results by measure, provenance, saving, loading, citing,
comparing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from rich.console import Console

from modalens.errors import InputError, listed
from modalens.measures import Result
from modalens.stored import digest_of, loaded_inputs, samples_in, stored_inputs

FORMAT = 2
"""Version of the saved layout."""

DISAGREEMENT = 0.1
"""Two baselines disagree where a modality's contribution under them differs by more than this share: a convention."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Results by measure, as attributes (`explanation.occlusion.contribution`), and the provenance of all numbers.

    `cohort` holds who was explained: the model's output on each whole input, `prediction` (space, sample, output), and what is
    true, `label`; `characteristics` what else is known of them, a row a patient. `print(explanation)` shows the tables, `plot()`
    the figures, `to_frame()` every global number as a row, `report(path)` writes one page for a reader, `save(path)` one file,
    `citation()` gives BibTeX.
    """

    results: Mapping[str, Result]
    provenance: Mapping[str, Any]
    inputs: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    cohort: xr.Dataset = field(default_factory=xr.Dataset, repr=False, compare=False)
    characteristics: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False, compare=False)

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self.provenance["modalities"])

    def __getattr__(self, name: str) -> Result:
        results = self.__dict__.get("results", {})
        if name in results:
            return results[name]
        raise AttributeError(
            f"the explanation has no measure {name!r}; it has {listed(results)}, and provenance, cohort, plot, report, to_frame, save, citation."
        )

    def __getitem__(self, name: str) -> Result:
        return self.results[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.results]

    def __str__(self) -> str:
        from modalens.summary import renderables

        console = Console(width=110, record=False, file=None, force_terminal=False, no_color=True)
        with console.capture() as captured:
            console.print(*renderables(self), sep="\n")
        return captured.get()

    def __rich_console__(self, console: Any, options: Any) -> Any:
        from modalens.summary import renderables

        yield from renderables(self)

    def _repr_html_(self) -> str:
        from modalens.report.page import body

        return body(self)

    def to_frame(self) -> pd.DataFrame:
        """Every global number as a row: measure, quantity, the coordinates it has (modality, output, ...), value,
        lower, upper, monte_carlo_error.
        """
        return pd.concat([_rows(result) for result in self.results.values()], ignore_index=True)

    def plot(self, **kwargs: Any) -> Any:
        """The overview figure: contributions with intervals, and the interaction matrix where there is one. Returns a
        matplotlib Figure.
        """
        from modalens.plots import overview

        return overview(self, **kwargs)

    def report(self, path: str | Path = "report.html", **settings: Any) -> Path:
        """Write one HTML file for a reader, which needs no other file and no network, and returns its path: verdicts in plain
        words, figures, chosen patients, what a reviewer asks for, methods, and what it cannot show.

        settings: title, preface, patients=False (no single patients), samples=[...] (more of them), sensitivity, planting,
        usefulness, scores, notes, as `modalens.report.page.report` says. Raises InputError where the file can't be written.
        """
        from modalens.report.page import report

        return report(self, path, **settings)

    def citation(self) -> str:
        """BibTeX of exactly the measures used."""
        entries = dict.fromkeys(
            entry.strip() for result in self.results.values() for entry in result.citation.split("\n@") if entry.strip()
        )
        return "\n\n".join(entry if entry.startswith("@") else f"@{entry}" for entry in entries)

    def save(self, path: str | Path, inputs: bool = False) -> Path:
        """Write one NetCDF file (a group a measure, provenance as JSON), which xarray, R and MATLAB read too;
        `inputs=True` adds the explained samples. Predictions, labels and characteristics of the patients are in it.

        Raises InputError where the file can't be written or a modality's samples have no form that can be stored.
        """
        target = Path(path)
        tree: dict[str, xr.Dataset] = {
            "/": xr.Dataset(
                attrs={
                    "modalens": FORMAT,
                    "provenance": json.dumps(self.provenance),
                    "measures": json.dumps(list(self.results)),
                }
            )
        }
        for name, result in self.results.items():
            tree.update(_groups(f"/{name}", result))
        tree["/cohort"] = self.cohort
        tree["/characteristics"] = _stored_frame(self.characteristics)
        if inputs:
            samples = stored_inputs(self.inputs)
            tree["/inputs"] = samples.assign_attrs(digest=_digest_of_samples(samples))
        tree["/"].attrs["digest"] = digest_of(tree | {"/inputs": _attributes(tree.get("/inputs"))})
        try:
            xr.DataTree.from_dict({key: dataset.drop_encoding() for key, dataset in tree.items()}).to_netcdf(
                target, engine="h5netcdf"
            )
        except OSError as error:
            raise InputError(f"the explanation can't be written to {target}: {error}.") from error
        return target


def load(path: str | Path, *, lazy: bool = False) -> Explanation:
    """An explanation from its file. Nothing in the file is executed. lazy: leave the explained samples in the file until one is
    looked at, so that a large cohort opens at once; they are then the only part that is not checked for damage.

    Raises InputError for a missing file, for one that is no saved explanation or of another format, and for a damaged one.
    """
    if not isinstance(path, str | Path):
        raise InputError(
            f"load: expected the path of a file written by explanation.save(...), came {type(path).__name__}."
        )
    source = Path(path)
    if not source.is_file():
        why = f"{source} is a folder" if source.is_dir() else f"there is no file {source}"
        raise InputError(f"{why}; expected one written by explanation.save(...).")
    try:
        with xr.open_datatree(source, engine="h5netcdf") as opened:
            samples = opened.children["inputs"].to_dataset(inherit=False) if "inputs" in opened.children else None
            tree = opened.filter(lambda node: node.path != "/inputs").load()
            samples = samples.load() if samples is not None and not lazy else samples
            inputs = {} if samples is None else samples_in(source, samples) if lazy else loaded_inputs(samples)
    except (
        OSError,
        ValueError,
        KeyError,
        AttributeError,
        RuntimeError,
        TypeError,
    ) as error:  # all that the HDF5 library raises for broken files
        raise InputError(f"{source} is not a saved explanation, or it is damaged: {error}.") from error
    if int(tree.attrs.get("modalens", 0)) != FORMAT:
        raise InputError(
            f"{source} is not a saved explanation of format {FORMAT} (its mark is {tree.attrs.get('modalens')!r}); it may come from another version."
        )
    held = {node.path: node.to_dataset(inherit=False) for node in tree.subtree} | {"/inputs": _attributes(samples)}
    whole = lazy or samples is None or samples.attrs.get("digest") == _digest_of_samples(samples)
    if tree.attrs.get("digest") != digest_of(held) or not whole:
        raise InputError(f"{source} is damaged: its contents differ from what was saved; save the explanation again.")
    results = {name: _restored(tree[name]) for name in json.loads(tree.attrs["measures"])}
    return Explanation(
        results=results,
        provenance=json.loads(tree.attrs["provenance"]),
        inputs=inputs,
        cohort=tree.children["cohort"].to_dataset(inherit=False),
        characteristics=_loaded_frame(tree.children["characteristics"].to_dataset(inherit=False)),
    )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two explanations of the same patients: `differences` (measure -> Dataset of second minus first), with paired
    intervals in `interval`. names: of the two models; explanations: what was compared.
    """

    names: tuple[str, str]
    explanations: tuple[Explanation, Explanation] = field(repr=False)
    differences: Mapping[str, xr.Dataset]
    interval: Mapping[str, xr.Dataset]

    def to_frame(self) -> pd.DataFrame:
        """Every difference as a row, with its paired interval."""
        rows = [
            _frame(measure, str(name), array, self.interval[measure].get(name), None)
            for measure, dataset in self.differences.items()
            for name, array in dataset.data_vars.items()
        ]
        return pd.concat(rows, ignore_index=True)

    def __str__(self) -> str:
        return f"{self.names[1]} minus {self.names[0]}\n{self.to_frame().dropna(axis=1, how='all').to_string(index=False, float_format='{:.3f}'.format)}"


def compare(first: Explanation, second: Explanation) -> Comparison:
    """How two models differ on the same patients: second minus first for every global number that both have, with
    intervals from the same bootstrap draws.

    Raises InputError where patients, seeds or groups differ, since the pairs would be none.

    Example
    -------
    >>> import numpy as np, modalens as ml
    >>> inputs = {"a": np.random.default_rng(0).normal(size=(30, 1)), "b": np.random.default_rng(1).normal(size=(30, 1))}
    >>> one = ml.explain(lambda a, b: 3 * a[:, 0] + b[:, 0], inputs, measures=[ml.Occlusion()], baseline="zeros", output="raw")
    >>> two = ml.explain(lambda a, b: a[:, 0] + b[:, 0], inputs, measures=[ml.Occlusion()], baseline="zeros", output="raw")
    >>> bool(ml.compare(one, two).differences["occlusion"]["contribution"].sel(modality="a") < 0)
    True
    """
    for place, given in (("first", first), ("second", second)):
        if not isinstance(given, Explanation):
            raise InputError(
                f"the {place} is a {type(given).__name__}: expected an Explanation, such as ml.load(path) gives."
            )
    for what in ("data", "seed", "groups", "background", "modalities", "outputs", "space", "baselines"):
        if first.provenance[what] != second.provenance[what]:
            raise InputError(
                f"the explanations differ in their {what} ({first.provenance[what]!r}, {second.provenance[what]!r}), so they can't be "
                "paired: explain both models on the same patients with the same groups and seed."
            )
    shared = [name for name in first.results if name in second.results]
    if not shared:
        raise InputError(f"the explanations share no measure: {listed(first.results)} and {listed(second.results)}.")
    differences, intervals = {}, {}
    for name in shared:
        one, two = first.results[name], second.results[name]
        ours, theirs = one.global_numbers, two.global_numbers
        both = [number for number in ours if number in theirs and ours[number].sizes == theirs[number].sizes]
        differences[name] = xr.Dataset({number: theirs[number] - ours[number] for number in both})
        paired = Result(
            measure=name,
            title=one.title,
            arrays={},
            draws=two.draws[both] - one.draws[both],
            confidence=one.confidence,
            resampled=one.resampled,
        )
        intervals[name] = paired.interval
    return Comparison(
        names=(first.provenance["model"], second.provenance["model"]),
        explanations=(first, second),
        differences=differences,
        interval=intervals,
    )


# Tables ----------------------------------------------------------------------------------------------------------------------


def _rows(result: Result) -> pd.DataFrame:
    frames = [
        _frame(result.measure, name, array, result.interval.get(name), result.monte_carlo_error.get(name))
        for name, array in result.global_numbers.items()
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _frame(
    measure: str, name: str, array: xr.DataArray, bounds: xr.DataArray | None, noise: xr.DataArray | None
) -> pd.DataFrame:
    columns = {"value": array}
    if bounds is not None:
        columns |= {"lower": bounds.sel(bound="lower", drop=True), "upper": bounds.sel(bound="upper", drop=True)}
    if noise is not None:
        columns["monte_carlo_error"] = noise
    dataset = xr.Dataset(columns)
    frame = (
        dataset.to_dataframe(dim_order=list(map(str, array.dims))).reset_index()
        if dataset.sizes
        else pd.DataFrame([{key: float(value) for key, value in columns.items()}])
    )
    frame.insert(0, "quantity", name)
    frame.insert(0, "measure", measure)
    return frame


# The file: a group a measure, below it a group for draws, Monte-Carlo errors, and each dict of arrays ----------------------------


def _groups(path: str, result: Result) -> dict[str, xr.Dataset]:
    plain = {name: array for name, array in result.arrays.items() if isinstance(array, xr.DataArray)}
    nested = {name: arrays for name, arrays in result.arrays.items() if not isinstance(arrays, xr.DataArray)}
    about = {
        name: getattr(result, name)
        for name in ("measure", "title", "confidence", "resampled", "reasons", "settings", "citation")
    }
    groups = {path: xr.Dataset(attrs={"about": json.dumps(about), "arrays": json.dumps(list(result.arrays))})}
    groups |= {f"{path}/arrays/{place}": pack for place, pack in enumerate(_packed(plain))}
    groups |= {
        f"{path}/nested/{name}/{modality}": array.to_dataset(name=modality)
        for name, arrays in nested.items()
        for modality, array in arrays.items()
    }
    return groups | {f"{path}/draws": result.draws, f"{path}/monte_carlo_error": result.monte_carlo_error}


def _packed(arrays: Mapping[str, xr.DataArray]) -> list[xr.Dataset]:
    """The arrays in as few datasets as will do: those of one dataset agree on the labels of the axes that they share."""
    packs: list[xr.Dataset] = []
    for name, array in arrays.items():
        for place, pack in enumerate(packs):
            try:
                packs[place] = xr.merge([pack, array.to_dataset(name=name)], join="exact", compat="equals")
                break
            except ValueError:
                continue
        else:
            packs.append(array.to_dataset(name=name))
    return packs


def _restored(node: Any) -> Result:
    about = json.loads(node.attrs["about"])
    packs = (
        [child.to_dataset(inherit=False) for child in node["arrays"].children.values()]
        if "arrays" in node.children
        else []
    )
    found: dict[str, Any] = {str(name): pack[name] for pack in packs for name in pack.data_vars}
    if "nested" in node.children:
        for name, child in node["nested"].children.items():
            found[str(name)] = {
                str(modality): own.to_dataset(inherit=False)[modality] for modality, own in child.children.items()
            }
    arrays = {name: found.get(name, {}) for name in json.loads(node.attrs["arrays"])}
    return Result(
        arrays=arrays,
        draws=node["draws"].to_dataset(inherit=False),
        monte_carlo_error=node["monte_carlo_error"].to_dataset(inherit=False),
        **about,
    )


def _stored_frame(frame: pd.DataFrame) -> xr.Dataset:
    """A table as variables: numbers as they are, everything else as text, with "" where it is missing."""
    names = list(map(str, frame.index)) if not isinstance(frame.index, pd.RangeIndex) else None
    columns = {}
    for place, name in enumerate(frame.columns):
        column = frame[name]
        number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        values = column.to_numpy(dtype=float, na_value=np.nan) if number else _texts(column)
        columns[f"column_{place}"] = ("row", values)
    about = {"columns": json.dumps(list(map(str, frame.columns))), "names": json.dumps(names), "rows": len(frame)}
    return xr.Dataset(columns, attrs=about)


def _texts(column: pd.Series) -> np.ndarray:
    return np.array(["" if pd.isna(value) else str(value) for value in column], dtype=object)


def _loaded_frame(dataset: xr.Dataset) -> pd.DataFrame:
    names = json.loads(dataset.attrs["names"])
    index = pd.RangeIndex(dataset.attrs["rows"]) if names is None else pd.Index(names, name="patient")
    columns = {}
    for place, name in enumerate(json.loads(dataset.attrs["columns"])):
        values = dataset[f"column_{place}"].values
        columns[name] = (
            values if values.dtype.kind == "f" else pd.Series(values.astype(str)).replace("", None).to_numpy()
        )
    return pd.DataFrame(columns, index=index)


def _attributes(dataset: xr.Dataset | None) -> xr.Dataset:
    """What stands beside the samples, without them: their own digest tells whether they are as they were."""
    return xr.Dataset(attrs={} if dataset is None else dataset.attrs)


def _digest_of_samples(samples: xr.Dataset) -> str:
    return digest_of({"/inputs": samples.assign_attrs(digest="")})
