"""Who is compared: names, what each is, and the settings that are tried for it. The functions of the same names are
in shapley.py, occlusion.py and gradient.py. Knows no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .cases import Task

Kind = Literal["modalens", "variant", "package", "plain", "by hand"]


@dataclass(frozen=True, kw_only=True)
class Rival:
    """One way to a case's values. Of its settings the fastest is taken, found in a process of its own.

    `kind` is modalens itself, a variant of its call, another package, the whole model in a plain loop, or a loop
    written by hand for this very model. `usual` is the setting for growth curves, where none is looked for.
    """

    key: str
    words: str
    kind: Kind
    libraries: tuple[str, ...] = ()
    settings: tuple[tuple[int, ...], ...] = ((),)
    usual: tuple[int, ...] = ()
    setting_words: str = ""

    def described(self, setting: tuple[int, ...]) -> str:
        """The setting in words."""
        return self.setting_words.format(*(f"{number:,}" for number in setting))


MODALENS = Rival(key="modalens", words="modalens", kind="modalens", libraries=("modalens",))
BATCHES = ((32,), (64,), (128,), (256,))
PLAIN = Rival(
    key="plain_loop",
    words="plain loop, whole model",
    kind="plain",
    settings=BATCHES,
    usual=(128,),
    setting_words="{} rows a call",
)
BY_HAND = tuple((encoder, head) for encoder in (32, 64, 128) for head in (2048, 4096, 8192))
BY_HAND_WORDS = "{} rows a call of an encoder, {} of the head"

SHAPLEY = (
    MODALENS,
    Rival(key="modalens_with_intervals", words="modalens, with intervals", kind="variant", libraries=("modalens",)),
    Rival(key="modalens_all_measures", words="modalens, all default measures", kind="variant", libraries=("modalens",)),
    Rival(
        key="captum",
        words="captum ShapleyValues",
        kind="package",
        libraries=("captum.attr",),
        settings=((64,), (256,)),
        usual=(64,),
        setting_words="{} samples a call",
    ),
    Rival(key="shap_exact", words="shap Exact", kind="package", libraries=("shap",)),
    Rival(key="shap_kernel", words="shap Kernel, all coalitions", kind="package", libraries=("shap",)),
    Rival(key="shapiq", words="shapiq ExactComputer", kind="package", libraries=("shapiq",)),
    PLAIN,
    Rival(
        key="cached_loop",
        words="by hand: encodings cached",
        kind="by hand",
        settings=BY_HAND,
        usual=(64, 4096),
        setting_words=BY_HAND_WORDS,
    ),
    Rival(
        key="split_loop",
        words="by hand: cached, first layer of the head split",
        kind="by hand",
        settings=BY_HAND,
        usual=(64, 4096),
        setting_words=BY_HAND_WORDS,
    ),
)

OCCLUSION = (
    MODALENS,
    Rival(
        key="captum",
        words="captum FeatureAblation",
        kind="package",
        libraries=("captum.attr",),
        settings=((64, 1), (256, 1), (64, 8), (64, 80)),
        usual=(64, 1),
        setting_words="{} samples a call, perturbations_per_eval={}",
    ),
    PLAIN,
    Rival(
        key="cached_loop",
        words="by hand: encodings cached",
        kind="by hand",
        settings=BATCHES,
        usual=(64,),
        setting_words="{} rows a call of an encoder",
    ),
)

GRADIENT = (
    MODALENS,
    Rival(
        key="captum",
        words="captum LayerIntegratedGradients",
        kind="package",
        libraries=("captum.attr",),
        settings=((64, 1), (64, 5), (256, 1), (256, 50)),
        usual=(64, 1),
        setting_words="{} samples a call, internal batches of {} × as many rows",
    ),
    Rival(
        key="cached_loop",
        words="by hand: encodings cached",
        kind="by hand",
        settings=BY_HAND,
        usual=(64, 4096),
        setting_words=BY_HAND_WORDS,
    ),
)

RIVALS: dict[Task, tuple[Rival, ...]] = {"shapley": SHAPLEY, "occlusion": OCCLUSION, "gradient": GRADIENT}
REFERENCE: dict[Task, str] = {"shapley": "plain_loop", "occlusion": "plain_loop", "gradient": "cached_loop"}
"""Whose values the others must give: the simplest code there is, and not modalens."""


def named(task: Task, key: str) -> Rival:
    """The rival of this name."""
    return next(rival for rival in RIVALS[task] if rival.key == key)
