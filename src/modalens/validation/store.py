"""What is done of a validation, kept in a folder: a file for each problem and seed, so that the same call goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

from modalens.errors import InputError
from modalens.validation.leaderboard import Run

SETTINGS = "settings.json"


@dataclass(frozen=True, kw_only=True)
class Store:
    """The folder, or none."""

    folder: Path | None

    @classmethod
    def open(cls, folder: str | Path | None, settings: Mapping[str, Any]) -> Store:
        """The folder for these settings. Raises InputError where it holds runs that were made with others, and says which."""
        if folder is None:
            return cls(folder=None)
        target = Path(folder)
        wanted = json.loads(
            json.dumps(dict(settings) | {name: version(name) for name in ("modalens", "torch", "numpy")})
        )
        try:
            target.mkdir(parents=True, exist_ok=True)
            known = (
                json.loads((target / SETTINGS).read_text(encoding="utf-8")) if (target / SETTINGS).exists() else None
            )
            if known is None:
                _write(target / SETTINGS, wanted)
        except (OSError, ValueError) as error:
            raise InputError(f"store={str(folder)!r} can't be used: {error}; name another folder.") from error
        if known is not None and not isinstance(known, dict):
            raise InputError(f"store={str(folder)!r}: its {SETTINGS} is damaged; name another folder.")
        other = [name for name in wanted if known is not None and known.get(name) != wanted[name]]
        if known is not None and other:
            said = "; ".join(f"{name} was {known.get(name)!r} and is {wanted[name]!r}" for name in other)
            raise InputError(f"store={str(folder)!r} holds runs that were made otherwise: {said}. Name another folder.")
        return cls(folder=target)

    def get(self, problem: str, seed: int) -> list[Run] | None:
        """The runs of this problem and seed, where they are done; a damaged file counts as not done."""
        if self.folder is None or not (path := self._path(problem, seed)).exists():
            return None
        try:
            return [Run(**run) for run in json.loads(path.read_text(encoding="utf-8"))] or None
        except (ValueError, TypeError):
            return None

    def put(self, problem: str, seed: int, runs: Sequence[Run]) -> None:
        """Keep them: written beside and then renamed, so that a file is whole or not there."""
        if self.folder is None:
            return
        try:
            _write(self._path(problem, seed), [asdict(run) for run in runs])
        except OSError as error:
            raise InputError(
                f"store={str(self.folder)!r}: {error}; what was done before is kept. Make room, or name another folder."
            ) from error

    def _path(self, problem: str, seed: int) -> Path:
        assert self.folder is not None
        return self.folder / f"{problem}-seed{seed}.json"


def _write(path: Path, content: Any) -> None:
    """Beside under a name of its own, since another process may be writing the same, and then in its place."""
    beside = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        beside.write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
