"""`audit`: every phrase, and every perturbation of it, is shown to the model once; all scores are made from those maps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
import xarray as xr

from modalens.alignment.heatmaps import HeatMap
from modalens.alignment.perturbations import STANDARD, Changed, Perturbation, perturbation_of
from modalens.alignment.priors import CentrePrior, MeanBox, Uniform
from modalens.alignment.randomisation import levels, network_of, randomised_from
from modalens.alignment.records import Record
from modalens.alignment.regions import Resize
from modalens.alignment.result import AS_IT_IS, SWAP, Audit
from modalens.alignment.scores import entropy
from modalens.alignment.scoring import Named, Own, scores_of
from modalens.alignment.sheet import Sheet, divergences, opt_outs, patients_of, unchanged
from modalens.alignment.showing import Pairs
from modalens.alignment.sources import Given, Highlighter, highlighter_of
from modalens.alignment.subsets import counterparts, subsets
from modalens.errors import InputError, choice
from modalens.evaluation.progress import Bar
from modalens.models.modes import evaluating

LONGEST = 256
"""Pixels of the longer side on which maps are scored where an image is larger: maps have some hundreds of cells, and a
ranking of millions of pixels takes seconds a map."""

RANDOMISED = 100
"""Most records on which models of random weights are scored."""


def audit(
    model: Highlighter | Any,
    records: Iterable[Record],
    *,
    perturbations: Sequence[str | Perturbation] = STANDARD,
    scores: Sequence[str | Named] | Mapping[str, Own] | None = None,
    training: Sequence[Record] | None = None,
    baselines: Mapping[str, Highlighter] | None = None,
    network: torch.nn.Module | None = None,
    interpolation: str = "bilinear",
    longest: int | None = LONGEST,
    batch_size: int = 32,
    confidence: float = 0.95,
    seed: int = 0,
    progress: bool | None = None,
) -> Audit:
    """Do a model's heat maps show what the phrases say, and does the text matter at all?

    Parameters
    ----------
    model : callable as model(images, phrases) -> a heat map for each pair (`HeatMap`, or an array (rows, columns) over the whole
        image), or an object with `heat_maps(images, phrases)`; or `Given`, for maps made elsewhere. images are what `Record.pixels`
        gives: arrays (height, width) or (channels, height, width).
    records : phrases with their images and regions. Those without a region are shown to the model, since they say where it
        should opt out, and not scored against one.
    perturbations : by name or as objects; all of `perturbations.STANDARD` by default, () for none.
    scores : by name, such as "auroc", "iou@10%", "wrong_lung"; or functions of a map and a mask, by name. All by default.
    training : records of training, for the mean-box baseline: where regions usually lie.
    baselines : further maps that ignore the text, to be beaten, by name, called as the model is. Beside them stand a uniform map and one of the centre.
    network : the torch module in the model, whose weights are drawn anew, layer by layer from the output down, to see whether the
        agreement is due to what it learned; found by itself where the model is one, or has a method of one. It is put into evaluation mode, and given back as it was.
    interpolation : how cells become pixels: "bilinear", or "cells" for blocks.
    longest : pixels of the longer side at which maps are scored; None for those of the image.
    batch_size : pairs a call. confidence : of the intervals, which draw patients anew. seed : of the perturbations and intervals.
    progress : a progress bar; None shows one for runs of more than two seconds.

    Returns
    -------
    Audit: `verdict` in words, `scores`, `deltas`, `flip_rate`, `tables()`, `plot()`, `save(path)`, `write(folder)`.

    Raises
    ------
    InputError : no record; none with a region; maps that are not as many as pairs, or hold NaN; perturbations or scores that are unknown
        or given twice; pictures that can't be read. What the model itself raises comes with a note of where it was.

    Source: McInerney et al. 2022, arXiv:2210.06565; model randomisation: Adebayo et al. 2018, arXiv:1810.03292.

    >>> from modalens.alignment import Phantom
    >>> blind = lambda images, phrases: [np.where(image > 0.6, 1.0, 0.1) for image in images]
    >>> audit(blind, Phantom().records(40, seed=0)).flip_rate.item()
    0.0
    """
    records = list(records)
    _check(model, records, batch_size, confidence, longest)
    choice("interpolation", interpolation, ("bilinear", "cells"))
    named = scores_of(scores)
    scored = [_at_most(record, longest) for record in records]
    if isinstance(perturbations, str):
        raise InputError(f"perturbations={perturbations!r}: give a list, such as [{perturbations!r}].")
    asked = _named_apart([perturbation_of(one) for one in perturbations])
    changes = {AS_IT_IS: unchanged(scored)} | {
        one.name: _changed(one, scored, np.random.default_rng(np.random.SeedSequence((seed, 21, place))))
        for place, one in enumerate(asked)
    }
    if isinstance(model, Given) and network is not None:
        raise InputError(
            "network: maps made elsewhere (Given) do not change with weights; leave it out, or give the model itself."
        )
    inner = network_of(model, network)
    some = _some([place for place, record in enumerate(records) if record.located], seed)
    maps, drawn = _shown(model, records, changes, inner, some, batch_size, seed, progress)
    priors: dict[str, Highlighter] = {"uniform": Uniform(), "centre": CentrePrior()}
    priors |= {"mean box": MeanBox.fit(training)} if training is not None else {}
    for name in baselines or {}:
        if name in priors:
            raise InputError(f"baselines: {name!r} is there already: give yours another name.")
    priors |= dict(baselines or {})
    sheet = Sheet(records, scored, named, interpolation == "bilinear")
    as_it_is = changes[AS_IT_IS]
    with Bar(
        len(records) * (2 * len(changes) + len(priors) + len(drawn)), progress, doing="scoring", unit="maps"
    ) as bar:
        values = {name: sheet.scores(maps[name], change, bar.advance) for name, change in changes.items()}
        followed = {name: sheet.followed(change, bar.advance) for name, change in changes.items()}
        of_priors = {
            name: sheet.scores(_of_prior(prior, records, batch_size), as_it_is, bar.advance)
            for name, prior in priors.items()
        }
        of_drawn = {level: sheet.scores(found, as_it_is, bar.advance) for level, found in drawn.items()}
    sheet.count(maps[AS_IT_IS], as_it_is)
    lowest, highest = sheet.ranges(maps[AS_IT_IS], as_it_is)
    members = subsets(records)
    swapped = maps.get(SWAP, [None] * len(records))
    data = xr.Dataset(
        {
            "value": _stacked(values, "condition"),
            "followed": _stacked(followed, "condition"),
            "baseline_value": _stacked(of_priors, "baseline"),
            **({"randomised_value": _stacked(of_drawn, "level")} if of_drawn else {}),
            "lowest": (("score", "record"), lowest),
            "highest": (("score", "record"), highest),
            "divergence": (("condition", "record"), [divergences(maps[AS_IT_IS], maps[name]) for name in changes]),
            "opt_out": (("condition", "record"), [opt_outs(maps[name]) for name in changes]),
            "evenness": ("record", _evenness(maps[AS_IT_IS])),
            "constant": ("record", [one is not None and one.constant for one in maps[AS_IT_IS]]),
            "flipped": ("record", sheet.flips(maps[AS_IT_IS], swapped, counterparts(records))),
            "member": (("subset", "record"), list(members.values())),
            "phrase": (
                ("condition", "record"),
                _words([[phrase or "" for phrase in one.phrases] for one in changes.values()]),
            ),
            "left_out": (("condition", "record"), _words([one.reasons for one in changes.values()])),
            "patient": ("record", _words(patients_of(records))),
            "image": ("record", _words([record.name for record in records])),
            "labels": ("record", _words(["; ".join(record.labels) for record in records])),
            "side": ("record", _words([record.side for record in records])),
        },
        coords={"score": [one.name for one in named], "subset": list(members)},
    )
    return Audit(
        data=data,
        maps=maps,
        records=tuple(records),
        reasons=dict(sheet.reasons),
        settings={
            "perturbations": {one.name: one.words for one in asked},
            "interpolation": interpolation,
            "longest": longest,
            "confidence": confidence,
            "seed": seed,
            "randomised": len(some) if of_drawn else 0,
        },
    )


def _shown(
    model: Any,
    records: Sequence[Record],
    changes: Mapping[str, Changed],
    network: torch.nn.Module | None,
    some: Sequence[int],
    batch_size: int,
    seed: int,
    progress: bool | None,
) -> tuple[dict[str, list[HeatMap | None]], dict[str, list[HeatMap | None]]]:
    """The maps of every record under every change, and those of networks whose weights were drawn anew, by level."""
    pairs = Pairs.of(records)
    wanted = {name: pairs.of_change(change) for name, change in changes.items()}
    every = {pair for each in wanted.values() for pair in each if pair is not None}
    steps = levels(network) if network is not None else []
    chosen = [wanted[AS_IT_IS][place] if place in set(some) else None for place in range(len(records))]
    again = {pair for pair in chosen if pair is not None}
    pairs_in_all = len(every) + len(steps) * len(again)
    with (
        evaluating(network) if network is not None else nullcontext(),
        Bar(pairs_in_all, progress, doing="asking the model for heat maps", unit="pairs") as bar,
    ):
        found = pairs.maps(model, every, batch_size, bar.advance)
        drawn = {}
        for level in steps:
            assert network is not None
            with randomised_from(network, level, seed):
                by_pair = pairs.maps(model, again, batch_size, bar.advance)
            drawn[level] = [None if pair is None else by_pair[pair] for pair in chosen]
    maps = {name: [None if pair is None else found[pair] for pair in each] for name, each in wanted.items()}
    return maps, drawn


def _of_prior(prior: Highlighter, records: Sequence[Record], batch_size: int) -> list[HeatMap | None]:
    """The maps of a baseline, one a record."""
    pairs = Pairs.of(records)
    wanted = pairs.of_change(unchanged(records))
    found = pairs.maps(prior, {pair for pair in wanted if pair is not None}, batch_size, lambda _: None)
    return [None if pair is None else found[pair] for pair in wanted]


def _at_most(record: Record, longest: int | None) -> Record:
    """The record on the pixels on which maps are scored."""
    height, width = record.size
    if longest is None or max(height, width) <= longest:
        return record
    scale = longest / max(height, width)
    return record.through(Resize(to=(max(1, round(height * scale)), max(1, round(width * scale)))))


def _some(places: Sequence[int], seed: int) -> list[int]:
    """At most `RANDOMISED` of the places, drawn."""
    order = np.random.default_rng(np.random.SeedSequence((seed, 22))).permutation(len(places))
    return sorted(places[one] for one in order[:RANDOMISED])


def _evenness(maps: Sequence[HeatMap | None]) -> list[float]:
    """The entropy of each map as a share of the highest that its grid allows."""
    return [
        np.nan if map is None or map.values.size < 2 else entropy(map.values) / np.log(map.values.size) for map in maps
    ]


def _stacked(found: Mapping[str, np.ndarray], dim: str) -> xr.DataArray:
    return xr.DataArray(np.stack(list(found.values())), dims=(dim, "score", "record"), coords={dim: list(found)})


def _words(texts: Any) -> np.ndarray:
    return np.array(texts, dtype=object)


def _named_apart(asked: Sequence[Perturbation]) -> Sequence[Perturbation]:
    names = [one.name for one in asked]
    for name in names:
        if [*names, AS_IT_IS].count(name) > 1:
            raise InputError(f"two perturbations are named {name!r}: give each once, or one of your own another name.")
    return asked


def _changed(asked: Perturbation, records: Sequence[Record], rng: np.random.Generator) -> Changed:
    """The records under a perturbation. Raises InputError where one of somebody's own does not fit them."""
    found = asked.changed(records, rng)
    if len(found.phrases) != len(records):
        raise InputError(
            f"the perturbation {asked.name!r} gives {len(found.phrases)} rows for {len(records)} records: give one for each, in their order."
        )
    for place, record in enumerate(records):
        for region in (found.truths[place], found.targets[place]):
            if region is not None and region.shape != record.size:
                raise InputError(
                    f"the perturbation {asked.name!r} gives a region of {region.shape} for {record.where}: expected {record.size} (height, width), as record.truth has."
                )
    return found


def _check(model: Any, records: Sequence[Record], batch_size: int, confidence: float, longest: int | None) -> None:
    if not isinstance(model, Given):
        highlighter_of(model)
    if not records:
        raise InputError("there is no record to audit: give phrases with their images and regions.")
    for place, record in enumerate(records):
        if not isinstance(record, Record):
            raise InputError(f"records[{place}] is a {type(record).__name__}; expected modalens.alignment.Record.")
    if not any(record.located for record in records):
        raise InputError(
            f"none of {len(records)} records has a region: without boxes or masks, nothing says where the highlights should be."
        )
    if batch_size < 1:
        raise InputError(f"batch_size={batch_size}: give a number of pairs, at least 1.")
    if longest is not None and longest < 1:
        raise InputError(
            f"longest={longest}: give a number of pixels, such as {LONGEST}, or None for those of the image."
        )
    if not 0 < confidence < 1:
        raise InputError(f"confidence={confidence}: give a share between 0 and 1, such as 0.95.")
