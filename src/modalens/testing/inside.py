"""Checks of what is inside: where the modalities meet, whether there are gradients, and what an explanation will cost."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from modalens.errors import InputError, ModalensWarning, listed
from modalens.evaluation.engine import open_engine
from modalens.measures import FusionGradient
from modalens.pipeline import first_plan
from modalens.problem import Gradients
from modalens.testing.result import Finding
from modalens.testing.trial import NotReached, Trial

if TYPE_CHECKING:
    from modalens.evaluation.engine import Engine
    from modalens.models.fusion import FusionPoint

LONG = 3600.0
"""Seconds above which a run is long."""


def fusion(trial: Trial) -> Iterator[Finding]:
    """Where do the modalities meet?"""
    asked = trial.setting.encoders
    if trial.torch_rows is None:
        wanted = asked not in ("auto", "whole")
        yield Finding(
            check="fusion point",
            verdict="obstacle" if wanted else "note",
            found=f"the model {trial.model.name!r} is no torch module, so its encoders can't be seen, and it runs whole for every mask.",
            remedy="If it wraps a torch module, give the module itself." + " Leave encoders= out." * wanted,
        )
        return
    if asked == "whole":
        yield Finding(check="fusion point", verdict="fine", found="not looked for: encoders='whole'")
        return
    point = trial.point
    assert point is not None
    yield from _meeting(point) if point.exact else _no_meeting(trial, point)


def _meeting(point: FusionPoint) -> Iterator[Finding]:
    where = "in the exported graph" if point.source == "graph" else "at the submodules named"
    yield Finding(
        check="fusion point",
        verdict="fine",
        found=f"found {where}; encoders and head agree with the whole model (to {point.difference:.1g} of its scale)",
    )
    read = [name for name, encoder in point.encoders.items() if encoder.widths]
    bare = [name for name in read if not point.encoders[name].parameters]
    if bare == read:
        yield Finding(
            check="fusion point",
            verdict="note",
            found="the model mixes its modalities at the input (early fusion): no encoder has learned anything, all of it is head.",
            remedy="Nothing: expect the time of the whole model, and read gradients as those of the inputs.",
        )
        return
    for name in bare:
        steps = point.encoders[name].operations
        how = f"after {steps} operations that have learned nothing" if steps else "as it is"
        yield Finding(check="fusion point", verdict="fine", found=f"{name!r} enters the head {how}")


def _no_meeting(trial: Trial, point: FusionPoint) -> Iterator[Finding]:
    """Why there is no fusion point, where that is, and which encoders could be named."""
    asked = trial.setting.encoders
    at = f" (at {point.where})" if point.where else ""
    yield Finding(
        check="fusion point",
        verdict="obstacle" if asked == "graph" else "note",
        found=f"none that can be used: {point.reason}{at}; the model runs whole for every mask.",
        remedy=_encoders_to_name(trial),
    )


def _encoders_to_name(trial: Trial) -> str:
    """Submodules that are given one modality each, tried; else the parts that the model has."""
    from modalens.models.candidates import children

    assert trial.torch_rows is not None
    model, few = trial.torch_rows
    likely = _that_agree(trial)
    if likely:
        words = ", ".join(f"{name!r}: {path!r}" for name, path in likely.items())
        return f"Name its encoders: encoders={{{words}}} (tried: it agrees with the whole model)."
    parts = children(model.module)
    if not parts:
        return "Nothing, unless you can change its forward: the model has no parts that could be named as encoders."
    first = next(iter(few))
    return f"Name the parts that encode a modality, such as encoders={{{first!r}: {parts[0]!r}}}; the model's are {listed(parts[:12])}."


def _that_agree(trial: Trial) -> dict[str, str]:
    """Submodules that take one modality each, and with which the model is what it is as a whole; none where the
    settings name them already.
    """
    from modalens.models.candidates import likely_encoders, tried

    assert trial.torch_rows is not None
    model, few = trial.torch_rows
    try:
        likely = likely_encoders(model.module, model.calling, few)
        if not likely or likely == trial.setting.encoders:
            return {}
        point = tried(model.module, model.calling, few, likely)
    except Exception:  # a forward that does not run on a copy of its module, or with submodules in other hands
        return {}
    trial.rows += point.check_rows
    return likely if point.exact else {}


def gradients(trial: Trial) -> Iterator[Finding]:
    """Can gradients be taken where the modalities meet?"""
    wanted = any(isinstance(measure, FusionGradient) for measure in trial.setting.measures or ())
    why = _without_gradients(trial)
    if not why:
        yield Finding(
            check="gradients", verdict="fine", found="there are, at the fusion point: FusionGradient can be used"
        )
        return
    instead = _at_inputs(trial)
    yield Finding(
        check="gradients",
        verdict="obstacle" if wanted and not instead else "note",
        found=f"none at a fusion point: {why}{'; they can be taken at the inputs' * instead}.",
        remedy=("" if wanted else "If you want those, ask with measures=[ml.FusionGradient()].")
        if instead
        else "Use Shapley and Occlusion, which need outputs only.",
    )


def _without_gradients(trial: Trial) -> str:
    """Why no gradients can be taken at the fusion point; nothing where they can."""
    readout, patients = trial.readout, trial.patients
    point = trial.point
    if trial.torch_rows is None:
        return "the model is no torch module"
    if patients.has:
        return f"some patients lack {listed(patients.has)}"
    if point is None or not point.exact:
        return "encoders='whole' asks for none" if point is None else "the model could not be split"
    if not point.real:
        return "a modality crosses the fusion point in whole numbers"
    if readout.custom is not None:
        return "output= is a function of arrays"
    engine = open_engine(trial.model, trial.stand_ins, [], trial.problem, known=point, encoders=trial.setting.encoders)
    return _blocked(trial, engine)


def _blocked(trial: Trial, engine: Engine) -> str:
    """What on the way from the fusion point to the output has no gradient."""
    from modalens.models.cached import Cached
    from modalens.models.gradients import gradient

    assert isinstance(engine.split, Cached)
    few = trial.few.take(trial.few.first(2))
    encodings = {name: engine.split.encode(name, samples) for name, samples in few.samples.items()}
    read = {name: one for name, one in encodings.items() if one}
    try:
        found = gradient(engine.split, trial.readout, trial.setting.select, read, trial.readout.space)
    except (InputError, RuntimeError) as error:
        return str(error).splitlines()[0]
    if found.unreached:
        names = listed(dict.fromkeys(name for name, _ in found.unreached))
        return f"what crosses of {names} is cut off from the output (detach, argmax, rounding or NumPy in the head)"
    endless = [name for name, slope in found.by_modality.items() if not bool(slope.isfinite().all())]
    return f"those of {listed(endless)} are NaN or infinite" if endless else ""


def _at_inputs(trial: Trial) -> bool:
    """Whether gradients can be taken at the model's inputs instead."""
    if trial.torch_rows is None or trial.patients.has or trial.readout.custom is not None:
        return False
    need = Gradients(baseline=trial.setting.coalition[0], space=trial.readout.space, positions=(1.0,))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ModalensWarning)  # that it runs whole is told with its fusion point
            engine = open_engine(trial.model, trial.stand_ins, [need], trial.problem, encoders="whole")
    except InputError:
        return False
    return not _blocked(trial, engine)


def cost(trial: Trial) -> Iterator[Finding]:
    """How long will it take, and how much memory?"""
    trial.reach("problem")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ModalensWarning)  # told where they belong
            prepared = trial.setting.open()
            trial.rows += prepared.check_rows
            plan = first_plan(prepared, (prepared.problem,))
    except InputError as error:
        if not trial.obstacles:
            raise
        raise NotReached("it rests on what is told above") from error
    through = "rows of the head" if plan.separate else "rows of the whole model"
    encoders = f" and {max(plan.encoder_rows.values()):,} of an encoder" if plan.separate else ""
    seconds = plan.seconds or 0.0
    mib = 2**20
    yield Finding(
        check="cost",
        verdict="note" if seconds > LONG else "fine",
        found=f"{', '.join(one.key for one in prepared.measures)}: {plan.rows:,} {through}{encoders}, about {_duration(seconds)}; "
        f"{plan.batch_bytes / mib:.1f} MiB of inputs a batch, {plan.value_bytes / mib:.1f} MiB of values",
        remedy="Explain fewer patients, take fewer background rows (baseline=ml.Background(rows=20)), cut into fewer parts, or have the model split (encoders=)."
        if seconds > LONG
        else "",
    )


def _duration(seconds: float) -> str:
    if seconds >= LONG:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{max(seconds, 1):.0f} s"
