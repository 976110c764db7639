"""What a study file names of a user's own code: `file.py:name` or `package.module:name`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modalens.errors import InputError, nearest
from modalens.models.where import source_line


def import_model(reference: str, folder: Path, files: dict[Path, Any] | None = None) -> Any:
    """The model that `file.py:name` or `package.module:name` refers to; a function without arguments is called for it. A file
    in `files` is not run again, and what is run stands there: two names of one file then speak of the same objects.

    Raises InputError for a missing file, module or name, and for an error while importing.
    """
    found = imported(reference, folder, files)
    code = getattr(found, "__code__", None)
    if code is None or code.co_argcount + code.co_kwonlyargcount or code.co_flags & 0x08:
        return found
    with _on_path(folder), _loading(f"{reference}()"):
        return found()


def imported(reference: str, folder: Path, files: dict[Path, Any] | None = None) -> Any:
    """What `file.py:name` or `package.module:name` refers to."""
    where, _, name = reference.rpartition(":")
    if not where or not name:
        raise InputError(f"{reference!r} is no reference; write file.py:name or package.module:name.")
    if where.endswith(".py"):
        path, known = folder / where, {} if files is None else files
        module = known[path] = known.get(path) or _imported_file(path)
    else:
        module = _imported_module(where, folder)
    if not hasattr(module, name):
        raise InputError(
            f"{where} has no {name!r}{nearest(name, [one for one in vars(module) if not one.startswith('_')])}."
        )
    return getattr(module, name)


def _imported_file(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"there is no file {path}.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None, "a .py file has a loader"
    assert spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    # It may import its neighbours.
    with _on_path(path.parent), _loading(path):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


@contextmanager
def _loading(what: object) -> Iterator[None]:
    """What a user's own code raises while it is loaded is told with its place."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        where = source_line(error)
        raise InputError(
            f"{what} can't be loaded{f' ({where})' if where else ''}: {type(error).__name__}: {error}; try python -c 'import ...' on it by itself."
        ) from error


def _imported_module(name: str, folder: Path) -> Any:
    with _on_path(folder):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise InputError(
                f"the module {name!r} can't be imported ({error}); give a file, such as model.py:load, or install it."
            ) from error
