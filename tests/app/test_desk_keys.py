"""Access keys: only hashes are kept, who guesses waits, and who has no key learns nothing."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from pathlib import Path
from statistics import median

import pytest
import yaml
from typer.testing import CliRunner

from modalens.app.desk import keys
from modalens.app.desk.keys import Door, add_annotator, read_annotators, remove_annotator
from modalens.app.desk.throttle import Throttle
from modalens.cli import app
from modalens.errors import InputError, ModalensWarning


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "annotators.yaml"


def test_a_key_is_random_and_only_its_hash_is_kept(file: Path) -> None:
    given = {add_annotator(file, name) for name in ("Anna", "Ben")}
    assert len(given) == 2
    text = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for key in given:
        assert len(key.replace("-", "")) == 24  # five bits each: 120 bits
        assert key not in text
        assert key.replace("-", "") not in text
    kept = yaml.safe_load(text)["annotators"]
    assert sorted(kept) == ["Anna", "Ben"]
    assert kept["Anna"]["salt"] != kept["Ben"]["salt"]
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_the_hash_is_scrypt_of_the_key(file: Path) -> None:
    key = add_annotator(file, "Anna")
    kept = read_annotators(file)["Anna"]
    expected = hashlib.scrypt(
        key.replace("-", "").encode(), salt=bytes.fromhex(kept.salt), n=2**15, r=8, p=1, maxmem=2**27, dklen=32
    )
    assert kept.scrypt == expected.hex()


def test_the_door_opens_to_the_right_name_and_key_only(file: Path) -> None:
    key, other = add_annotator(file, "Anna Berg"), add_annotator(file, "Ben")
    clock = Clock()
    door = Door(file, clock=clock)
    granted = door.enter("  Anna  Berg", f" {key.lower().replace('-', ' ')} ")
    assert isinstance(granted, str)
    assert door.admits("Anna Berg", granted)
    assert not door.admits("Ben", granted)
    assert not door.admits("Anna Berg", "")
    for name, wrong in (("Anna Berg", other), ("anna berg", key), ("Nobody", key), ("Anna Berg", ""), ("", ""), ("", key)):  # fmt: skip
        clock.now += 700
        assert door.enter(name, wrong) is None


def test_who_is_taken_out_or_gets_a_new_key_is_out_at_once(file: Path) -> None:
    door_key = add_annotator(file, "Anna")
    add_annotator(file, "Ben")
    door = Door(file)
    granted = door.enter("Anna", door_key)
    assert isinstance(granted, str)
    newer = add_annotator(file, "Anna")
    assert not door.admits("Anna", granted)
    again = door.enter("Anna", newer)
    assert isinstance(again, str)
    remove_annotator(file, "Anna")
    assert not door.admits("Anna", again)
    assert list(read_annotators(file)) == ["Ben"]
    with pytest.raises(InputError, match=r"has no annotator 'Bem' \(did you mean 'Ben'\?\)"):
        remove_annotator(file, "Bem")


def test_wrong_keys_are_slowed_down_though_the_next_is_right(file: Path) -> None:
    key = add_annotator(file, "Anna")
    clock = Clock()
    door = Door(file, clock=clock)
    for wait in (1, 2, 4, 8, 16, 32, 60, 60):
        assert door.enter("Anna", "wrong") is None
        assert door.enter("Anna", key) == pytest.approx(wait)
        assert door.enter("An\u200bna", key) == pytest.approx(wait)  # the same name
        clock.now += wait
    assert isinstance(door.enter("Anna", key), str)
    assert door.enter("Anna", "wrong") is None  # what was is forgotten once a key was right
    assert door.enter("Anna", key) == pytest.approx(1)


def test_who_tries_many_names_holds_nobody_else_up_and_learns_of_none() -> None:
    clock = Clock()
    throttle = Throttle(clock=clock)
    for number in range(18):
        throttle.failed(f"name {number}")
        assert throttle.wait("Anna") == 0
    for wait in (1, 2, 4, 8, 16, 32, 60, 60):
        throttle.failed("Anna")  # a name that somebody bears is told the same as one that nobody does
        throttle.failed("Nobody")
        assert throttle.wait("Anna") == throttle.wait("Nobody") == wait
        clock.now += wait
    clock.now += 600
    throttle.failed("name 0")
    assert throttle.wait("name 0") == 1
    assert len(throttle._names) == 1  # whoever was long ago is not kept


def test_of_shells_that_add_names_at_once_none_loses_a_key(file: Path) -> None:
    told: dict[str, str] = {}
    threads = [threading.Thread(target=lambda name=name: told.update({name: add_annotator(file, name)})) for name in "abcdef"]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    door = Door(file)
    assert [name for name in "abcdef" if isinstance(door.enter(name, told[name]), str)] == list("abcdef")
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_lock_that_was_left_behind_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "WAIT", 0.05)
    (file.parent / f".{file.name}.lock").touch()
    with pytest.raises(InputError, match=r"somebody else is changing .* delete .*\.annotators\.yaml\.lock"):
        add_annotator(file, "Anna")
    assert not file.exists()


def test_an_unknown_name_takes_as_long_as_a_wrong_key(file: Path) -> None:
    add_annotator(file, "Anna")

    def taken(name: str) -> float:
        door = Door(file)
        door.admits("Anna", "")  # reads the file
        start = time.process_time()
        assert door.enter(name, "wrong") is None
        return time.process_time() - start

    known, unknown = (median(taken(name) for _ in range(5)) for name in ("Anna", "Nobody"))
    assert min(known, unknown) > 0.01  # scrypt was asked for both
    assert 0.5 < known / unknown < 2


GOOD = {"salt": "0" * 32, "scrypt": "0" * 64}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[1, 2",
        "- Anna",
        "modalens_annotators: 1",
        yaml.safe_dump({"modalens_annotators": 2, "annotators": {}}),
        yaml.safe_dump({"modalens_annotators": 1, "annotators": {"Anna": "secret"}}),
        yaml.safe_dump({"modalens_annotators": 1, "annotators": {"Anna": GOOD | {"salt": "zz" * 16}}}),
        yaml.safe_dump({"modalens_annotators": 1, "annotators": {"Anna": GOOD | {"admin": True}}}),
        yaml.safe_dump({"modalens_annotators": 1, "annotators": {7: GOOD}}),
        "a: !!python/object/apply:os.system ['true']",
        "\x00",
    ],
)
def test_a_damaged_file_lets_nobody_in(file: Path, content: str) -> None:
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(InputError, match=r"annotators"):
        read_annotators(file)
    with pytest.raises(InputError, match=r"annotators"):
        Door(file).enter("Anna", "wrong")
    with pytest.raises(InputError, match=r"annotators"):
        add_annotator(file, "Ben")
    assert file.read_text() == content


def test_a_missing_file_lets_nobody_in(file: Path) -> None:
    with pytest.raises(InputError, match=r"can't be read: No such file"):
        Door(file).admits("Anna", "x")
    with pytest.raises(InputError, match=r"can't be written"):
        add_annotator(file.parent / "nowhere" / "annotators.yaml", "Anna")


@pytest.mark.skipif(os.name != "posix", reason="the rights of files are those of POSIX")
def test_a_file_that_others_may_write_is_refused_and_one_they_may_read_is_warned_of(file: Path) -> None:
    add_annotator(file, "Anna")
    file.chmod(0o644)
    with pytest.warns(ModalensWarning, match=r"others may read .*: chmod 600"):
        read_annotators(file)
    file.chmod(0o622)
    with pytest.raises(InputError, match=r"others may write"):
        read_annotators(file)


def test_the_shell_tells_a_key_once_and_takes_names_out(file: Path) -> None:
    told = CliRunner().invoke(app, ["annotator", "Anna Berg", "--file", str(file)])
    assert told.exit_code == 0
    key = told.stdout.splitlines()[0].removeprefix("access key of Anna Berg: ")
    assert isinstance(Door(file).enter("Anna Berg", key), str)
    gone = CliRunner().invoke(app, ["annotator", "Anna Berg", "--file", str(file), "--remove"])
    assert gone.exit_code == 0
    assert read_annotators(file) == {}
