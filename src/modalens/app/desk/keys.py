"""Who may annotate from another machine: names with random access keys, of which only hashes are kept."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import stat
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modalens.app.desk.names import as_name
from modalens.app.desk.throttle import Throttle
from modalens.errors import InputError, ModalensWarning, listed, nearest

COST = {"n": 2**15, "r": 8, "p": 1}
"""Of scrypt: 32 MiB and about a tenth of a second for each try."""

WAIT = 10.0
"""Seconds that one who changes the file waits for another who does."""

HEXADECIMAL = r"^[0-9a-f]+$"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Hashed(_Strict):
    """A key as it is kept."""

    salt: str = Field(min_length=32, max_length=32, pattern=HEXADECIMAL)
    scrypt: str = Field(min_length=64, max_length=64, pattern=HEXADECIMAL)


class _Content(_Strict):
    """What stands in the file."""

    modalens_annotators: Literal[1]
    annotators: dict[str, Hashed]


def add_annotator(path: Path, name: str) -> str:
    """Let somebody annotate: his access key, which is told this once and kept nowhere. Who is there already gets a new key, and
    the old one is worth nothing.

    Raises InputError for a name that is none, and a file that can't be read or written.
    """
    kept = as_name(name)
    key = "-".join(base64.b32encode(secrets.token_bytes(15)).decode()[start : start + 4] for start in range(0, 24, 4))
    salt = secrets.token_bytes(16)
    hashed = Hashed(salt=salt.hex(), scrypt=_hash(key, salt).hex())
    with _alone(path):
        there = read_annotators(path) if path.exists() else {}
        _write(path, there | {kept: hashed})
    return key


def remove_annotator(path: Path, name: str) -> None:
    """Let somebody annotate no more; the answers stay. Raises InputError for a name that is not there."""
    kept = as_name(name)
    with _alone(path):
        there = read_annotators(path)
        if kept not in there:
            raise InputError(f"{path} has no annotator {kept!r}{nearest(kept, there)}: it has {listed(there)}.")
        _write(path, {one: hashed for one, hashed in there.items() if one != kept})


def read_annotators(path: Path) -> dict[str, Hashed]:
    """The annotators of a file that `add_annotator` wrote.

    Raises InputError for a file that is none, that is damaged, or that others than its owner may write; warns where others
    may read it.
    """
    try:
        mode = path.stat().st_mode
        found = _Content.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise InputError(f"the annotators' file {path} can't be read: {_first_line(error)}.") from error
    except ValidationError as error:
        wrong = error.errors()[0]
        raise InputError(
            f"{path} is no file of annotators, or it is damaged: {'.'.join(map(str, wrong['loc'])) or 'the file'}: {wrong['msg']}. modalens annotator NAME --file FILE writes one."
        ) from error
    if os.name == "posix" and mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise InputError(f"others may write {path}, and so give themselves a key: chmod 600 {path}")
    if os.name == "posix" and mode & (stat.S_IRGRP | stat.S_IROTH):
        warnings.warn(f"others may read {path}: chmod 600 {path}", ModalensWarning, stacklevel=2)
    return dict(found.annotators)


class Door:
    """Lets annotators in who have a key, and slows down who has none.

    path: the file of annotators. clock: seconds that only grow. One for all visitors, so that to connect anew helps nobody; one
    key is tried at a time, while those who are in go on.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._throttle = path, Throttle(clock=clock)
        self._trying, self._reading = threading.Lock(), threading.Lock()
        self._read: tuple[tuple[int, int, int], dict[str, Hashed]] | None = None

    def enter(self, name: str, key: str) -> str | float | None:
        """Try a key. A text: the pass, which `admits` asks for from now on. Seconds: how long to wait before the next try, which
        is not looked at before. None: the name or the key is wrong, whichever.
        """
        with self._trying:
            wanted = _kept(name)
            wait = self._throttle.wait(wanted)
            if wait > 0:
                return wait
            hashed = self._annotators().get(wanted)
            salt, expected = (bytes.fromhex(hashed.salt), bytes.fromhex(hashed.scrypt)) if hashed else (bytes(16), b"")
            right = hmac.compare_digest(_hash(key, salt), expected or bytes(32))
            if hashed is None or not right:
                self._throttle.failed(wanted)
                return None
            self._throttle.succeeded(wanted)
            return hashed.scrypt

    def admits(self, name: str, granted: str) -> bool:
        """Whether a pass still holds: whoever is taken from the file, or gets a new key, is out at once."""
        hashed = self._annotators().get(name)
        return hashed is not None and hmac.compare_digest(hashed.scrypt, granted)

    def _annotators(self) -> dict[str, Hashed]:
        """The file, read again when it has changed."""
        try:
            about = self._path.stat()
        except OSError as error:
            raise InputError(f"the annotators' file {self._path} can't be read: {error.strerror}.") from error
        state = about.st_mtime_ns, about.st_size, about.st_ino
        with self._reading:
            if self._read is None or self._read[0] != state:
                self._read = state, read_annotators(self._path)
            return self._read[1]


def _kept(name: str) -> str:
    try:
        return as_name(name)
    except InputError:
        return ""


def _hash(key: str, salt: bytes) -> bytes:
    """The hash of a key as it was typed: blanks, dashes and small letters make no difference."""
    typed = "".join(sign for sign in key[:200].upper() if sign.isalnum())
    return hashlib.scrypt(typed.encode("utf-8", "replace"), salt=salt, **COST, maxmem=2**26, dklen=32)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else changes the file meanwhile, so that of two who do at once neither loses a key."""
    lock, until = path.with_name(f".{path.name}.lock"), time.monotonic() + WAIT
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            break
        except FileExistsError as error:
            if time.monotonic() > until:
                raise InputError(
                    f"somebody else is changing the annotators' file {path}: try again. If nobody is, delete {lock}, which was left behind."
                ) from error
            time.sleep(0.02)
        except OSError as error:
            raise InputError(f"the annotators' file {path} can't be written: {error.strerror}.") from error
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _write(path: Path, annotators: dict[str, Hashed]) -> None:
    """The whole file or nothing of it, for its owner only."""
    content = {
        "modalens_annotators": 1,
        "annotators": {name: hashed.model_dump() for name, hashed in sorted(annotators.items())},
    }
    try:
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".annotators", delete=False) as file:
            yaml.safe_dump(content, file, allow_unicode=True)  # the file is 0600 from its first moment
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(path)
    except OSError as error:
        raise InputError(f"the annotators' file {path} can't be written: {error.strerror}.") from error


def _first_line(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).strip().splitlines()[0]
