"""The data base of answers: nothing is overwritten or lost, whoever answers at the same time; on SQLite and on PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from psycopg import sql
from scipy.stats import binomtest
from sqlalchemy import Text, UniqueConstraint, func, select

from at_desk import MODELS, item, items
from modalens.alignment.annotators import QUESTIONS
from modalens.app.desk.answers import Answers
from modalens.app.desk.given import Asked, Given, letter
from modalens.app.desk.names import as_name
from modalens.app.desk.schema import Answer, Table, Undone
from modalens.cli import _answers_in
from modalens.errors import InputError

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
RECALL, PRECISION, INTUITIVE = QUESTIONS


@pytest.fixture(scope="module")
def postgres() -> Iterator[int]:
    """A PostgreSQL server of its own on a free port; it refuses to run as root."""
    if not (PROGRAMS / "initdb").is_file():
        pytest.skip(f"there is no PostgreSQL in {PROGRAMS}: install Debian's package postgresql-15")
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="modalens-postgres-"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = int(listening.getsockname()[1])
    server = None
    try:
        if user:
            shutil.chown(folder, user)
        own = {"user": user, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        made = [PROGRAMS / "initdb", "-D", folder / "data", "-U", "tester", "--auth=trust", "-N", "-E", "UTF8"]
        subprocess.run(made, check=True, **own)  # type: ignore[call-overload]
        run = [PROGRAMS / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder, "-h", "127.0.0.1", "-F"]
        server = subprocess.Popen(run, **own)  # type: ignore[call-overload]
        for _ in range(300):
            try:
                psycopg.connect(host="127.0.0.1", port=port, user="tester", dbname="postgres").close()
                break
            except psycopg.OperationalError:
                time.sleep(0.1)
        yield port
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)  # without waiting for those who are connected
            server.wait()
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty data base."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'answers.sqlite'}"
    port = request.getfixturevalue("postgres")
    name = f"desk_{time.monotonic_ns()}"
    with psycopg.connect(host="127.0.0.1", port=port, user="tester", dbname="postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return f"postgresql+psycopg://tester@127.0.0.1:{port}/{name}"


@pytest.fixture
def answers(url: str) -> Iterator[Answers]:
    opened = Answers(url, random=random.Random(1))
    yield opened
    opened.close()


def sitting(answers: Answers, name: str = "Anna", count: int = 3) -> tuple[int, int, list[int]]:
    """An annotator at the first place: the numbers of both and of the maps shown."""
    who = answers.annotator(name)
    answers.take(who, items(count))
    place = answers.places(who)[0].id
    return who, place, [one.id for one in answers.maps(who, place)]


def say(answers: Answers, who: int, place: int, map: int, question: str, value: int | None) -> None:
    """Answer as a window does that has just been drawn."""
    turn = answers.given(who, place)[map, question].turn  # type: ignore[index]
    answers.answer(who, map, question, value, turn=turn, draw=os.urandom(8).hex(), strength=70)  # type: ignore[arg-type]


def counted(answers: Answers) -> tuple[int, int]:
    with answers.base.reading() as session:
        return tuple(session.scalar(select(func.count()).select_from(table)) or 0 for table in (Answer, Undone))  # type: ignore[return-value]


def test_an_annotator_is_known_by_a_trimmed_name_and_its_case(answers: Answers) -> None:
    anna = answers.annotator("  Anna   Berg ")
    assert answers.annotator("Anna Berg") == anna
    assert answers.annotator("anna berg") != anna
    assert answers.name_of(anna) == "Anna Berg"
    assert as_name("A\u0308nna\u202e\x00") == "Änna"
    for name in ("", " \t ", "x" * 101):
        with pytest.raises(InputError, match=r"a name has 1 to 100 characters"):
            answers.annotator(name)
    with pytest.raises(InputError, match=r"there is no annotator 99"):
        answers.name_of(99)


def test_each_annotator_has_an_order_of_its_own_that_stays_and_some_come_twice(answers: Answers, url: str) -> None:
    every = items(20)
    orders = []
    for name in ("Anna", "Ben"):
        who = answers.annotator(name)
        answers.take(who, every)
        places = answers.places(who)
        assert [place.position for place in places] == list(range(22))  # a tenth of 20 twice
        assert sorted(place.key for place in places if not place.again) == sorted(one.key for one in every)
        for second in (place for place in places if place.again):
            first = next(place for place in places if place.key == second.key and not place.again)
            assert first.position < 10 <= second.position
        orders.append([place.key for place in places])
        answers.take(who, every)
        again = Answers(url)
        assert again.places(who) == places
        again.close()
    assert orders[0] != orders[1]
    who = answers.annotator("Anna")
    answers.take(who, [*every, *[item(number) for number in (30, 31)]])
    assert [place.key for place in answers.places(who)][:22] == orders[0]
    assert {place.phrase for place in answers.places(who)[22:]} == {"Opacity 30.", "Opacity 31."}


def test_aliases_are_drawn_once_and_stay(answers: Answers, url: str) -> None:
    who, place, _ = sitting(answers)
    shown = answers.maps(who, place)
    assert [one.alias for one in shown] == ["A", "B"]
    assert sorted(one.model for one in shown) == sorted(MODELS)
    again = Answers(url)
    assert again.maps(who, place) == shown == answers.maps(who, place)
    again.close()


def test_an_answer_counts_until_it_is_undone_and_nothing_is_deleted(answers: Answers) -> None:
    who, place, (one, other) = sitting(answers)
    say(answers, who, place, one, RECALL, 2)
    say(answers, who, place, one, RECALL, 5)
    say(answers, who, place, other, INTUITIVE, None)
    given = answers.given(who, place)
    assert given[one, RECALL] == Given(turn=2, answered=True, value=5)
    assert given[other, INTUITIVE] == Given(turn=1, answered=True, value=None)
    assert given[other, RECALL] == Given()
    assert answers.last(who) == Asked(place=place, showing=other, question=INTUITIVE)
    assert answers.undo(who) == Asked(place=place, showing=other, question=INTUITIVE)
    assert answers.given(who, place)[other, INTUITIVE] == Given(turn=1, answered=False, value=None)
    assert answers.undo(who) == Asked(place=place, showing=one, question=RECALL)
    assert answers.given(who, place)[one, RECALL] == Given(turn=2, answered=True, value=2)
    answers.undo(who)
    assert answers.undo(who) is None
    assert answers.last(who) is None
    assert counted(answers) == (3, 3)
    say(answers, who, place, one, RECALL, 4)
    assert answers.given(who, place)[one, RECALL] == Given(turn=3, answered=True, value=4)


def test_a_place_is_judged_when_every_question_of_every_map_has_an_answer(answers: Answers) -> None:
    who, place, maps = sitting(answers)
    every = [(map, question) for map in maps for question in QUESTIONS]
    for map, question in every:
        assert not answers.places(who)[0].judged
        say(answers, who, place, map, question, None)
    assert [one.judged for one in answers.places(who)] == [True, False, False]
    say(answers, who, place, maps[0], RECALL, 1)  # answered anew: still all
    assert answers.places(who)[0].judged
    answers.undo(who)
    answers.undo(who)
    assert not answers.places(who)[0].judged


def test_regions_shown_before_an_answer_are_kept_with_it(answers: Answers) -> None:
    who, place, (one, other) = sitting(answers)
    say(answers, who, place, one, RECALL, 2)
    answers.reveal(who, place)
    answers.reveal(who, place)
    say(answers, who, place, other, RECALL, 3)
    with answers.base.reading() as session:
        kept = session.execute(select(Answer.boxes_shown, Answer.strength).order_by(Answer.id)).all()
    assert [tuple(row) for row in kept] == [(False, 70), (True, 70)]


def test_nobody_reaches_what_is_of_another_annotator(answers: Answers) -> None:
    _, place, (map, _) = sitting(answers, "Anna")
    ben, *_ = sitting(answers, "Ben")
    for reach in (
        lambda: answers.maps(ben, place),
        lambda: answers.given(ben, place),
        lambda: answers.reveal(ben, place),
        lambda: answers.comment(ben, place, "mine"),
        lambda: answers.comment_of(ben, place),
        lambda: answers.answer(ben, map, RECALL, 1, turn=0, draw="x", strength=100),
        lambda: answers.answer(ben, 10**6, RECALL, 1, turn=0, draw="x", strength=100),
    ):
        with pytest.raises(InputError, match=r"not among what the annotator judges"):
            reach()
    assert answers.undo(ben) is None
    assert counted(answers) == (0, 0)


def test_what_is_no_answer_is_refused(answers: Answers) -> None:
    who, _, (map, _) = sitting(answers)
    for value in (0, 6, 2.5):
        with pytest.raises(InputError, match=r"an answer is 1 to 5"):
            answers.answer(who, map, RECALL, value, turn=0, draw="x", strength=100)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"strength is 0 to 100"):
        answers.answer(who, map, RECALL, 1, turn=0, draw="x", strength=101)
    with pytest.raises(InputError, match=r"question='good' is not known"):
        answers.answer(who, map, "good", 1, turn=0, draw="x", strength=100)  # type: ignore[arg-type]


def test_of_two_windows_that_answer_the_same_question_the_second_is_told(answers: Answers) -> None:
    who, place, (map, _) = sitting(answers)
    answers.answer(who, map, RECALL, 2, turn=0, draw="one", strength=100)
    answers.answer(who, map, RECALL, 2, turn=0, draw="one", strength=100)  # the same click once more
    with pytest.raises(InputError, match=r"answered meanwhile, perhaps in another window"):
        answers.answer(who, map, RECALL, 4, turn=0, draw="other", strength=100)
    with pytest.raises(InputError, match=r"Two answers came at once: the first was kept"):
        answers.answer(who, map, RECALL, 4, turn=0, draw="one", strength=100)
    assert answers.given(who, place)[map, RECALL] == Given(turn=1, answered=True, value=2)
    assert counted(answers) == (1, 0)


def test_remarks_of_which_the_latest_counts(answers: Answers) -> None:
    who, place, _ = sitting(answers)
    assert answers.comment_of(who, place) == ""
    answers.comment(who, place, "dim\x00")
    answers.comment(who, place, "ok " * 5000)
    assert answers.comment_of(who, place) == ("ok " * 5000)[:2000]


def test_an_own_sentence_comes_last_and_once(answers: Answers) -> None:
    who, *_ = sitting(answers)
    own = item(1, phrase="Is there a nodule?", author="Anna")
    place = answers.write(who, own)
    assert answers.write(who, own) == place
    last = answers.places(who)[-1]
    assert (last.id, last.custom, last.phrase) == (place, True, "Is there a nodule?")
    assert len(answers.maps(who, place)) == 2
    ben = answers.annotator("Ben")
    with pytest.raises(InputError, match=r"bears his name"):
        answers.write(ben, own)


def test_annotators_in_threads_lose_nothing(url: str) -> None:
    """Four people and each in two windows, arriving at once: every answer is there, or its window was told."""
    first, every = Answers(url), items(4)
    told: list[str] = []
    kept: list[tuple[str, int]] = []
    failed: list[BaseException] = []
    start = threading.Barrier(8)

    def window(name: str, value: int) -> None:
        try:
            start.wait()
            own = Answers(url)
            who = own.annotator(name)
            own.take(who, every)
            for place in own.places(who):
                for map in own.maps(who, place.id):
                    try:
                        say(own, who, place.id, map.id, RECALL, value)
                        kept.append((name, value))
                    except InputError as error:
                        told.append(str(error))
            own.close()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=window, args=(name, value)) for name in "abcd" for value in (1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    assert all("meanwhile" in words for words in told)
    assert len(kept) + len(told) == 8 * 4 * 2
    assert counted(first) == (len(kept), 0)
    for name in "abcd":
        who = first.annotator(name)
        places = first.places(who)
        assert sorted(place.key for place in places) == sorted(one.key for one in every)
        for place in places:
            assert [one.alias for one in first.maps(who, place.id)] == ["A", "B"]
            assert all(first.given(who, place.id)[map.id, RECALL].answered for map in first.maps(who, place.id))
    first.close()


def annotate(url: str, name: str, acknowledged: Connection) -> None:
    """Answer a question of every place, and say so each time."""
    answers = Answers(url)
    who = answers.annotator(name)
    answers.take(who, items(10), again=0)
    for place in answers.places(who):
        say(answers, who, place.id, answers.maps(who, place.id)[0].id, RECALL, 3)
        acknowledged.send(place.id)


def test_annotators_in_processes_of_which_one_is_killed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'answers.sqlite'}"
    forked = get_context("fork")
    here, there = forked.Pipe(duplex=False)
    _, ignored = forked.Pipe(duplex=False)
    killed = forked.Process(target=annotate, args=(url, "Anna", there))
    other = forked.Process(target=annotate, args=(url, "Ben", ignored))
    killed.start()
    other.start()
    there.close()
    acknowledged = [here.recv() for _ in range(4)]
    killed.kill()
    killed.join()
    other.join()
    assert other.exitcode == 0
    with contextlib.suppress(EOFError):  # what it had sent before it was killed
        while True:
            acknowledged.append(here.recv())
    answers = Answers(url)
    anna, ben = answers.annotator("Anna"), answers.annotator("Ben")
    assert len(answers.places(anna)) == len(answers.places(ben)) == 10
    given = {p.id: sum(g.answered for g in answers.given(anna, p.id).values()) for p in answers.places(anna)}
    assert all(given[place] == 1 for place in acknowledged)
    assert [sum(g.answered for g in answers.given(ben, p.id).values()) for p in answers.places(ben)] == [1] * 10
    answers.close()


def test_aliases_and_orders_favour_no_model() -> None:
    """False alarms: one in a million for each of the two."""
    answers = Answers("sqlite://")
    first, early = 0, 0
    for name in ("Anna", "Ben"):
        who = answers.annotator(name)
        answers.take(who, items(100), again=0)
        places = answers.places(who)
        first += sum(answers.maps(who, place.id)[0].model == MODELS[0] for place in places)
        early += sum(int(place.phrase.split()[1][:-1]) < 50 for place in places[:50])
    assert binomtest(first, 200).pvalue > 1e-6
    assert binomtest(early, 100).pvalue > 1e-6  # drawn without replacement, it strays even less


def test_sqlite_keeps_what_was_acknowledged_and_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "answers.sqlite"
    answers = Answers(f"sqlite:///{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with answers.base.reading() as session:
        connection = session.connection()
        pragmas = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")]  # fmt: skip
    assert pragmas == ["wal", 2, 1]
    answers.close()


def other_tables(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE patients (id INTEGER)")


def other_version(path: Path) -> None:
    Answers(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE desk_version SET version = 7")


def missing_table(path: Path) -> None:
    Answers(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE desk_undone")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_text("name,answer\n" * 200), r"can't be used: file is not a database"),
        (other_tables, r"belongs to something else"),
        (other_version, r"has tables of version 7, and this modalens writes version 1"),
        (missing_table, r"lacks some of its tables \(no desk_undone\)"),
    ],
)
def test_a_wrong_or_damaged_data_base_is_refused_in_words(tmp_path: Path, make: object, words: str) -> None:
    path = tmp_path / "answers.sqlite"
    make(path)  # type: ignore[operator]
    before = path.read_bytes()
    with pytest.raises(InputError, match=words):
        Answers(f"sqlite:///{path}")
    assert path.read_bytes() == before or make in (other_version, missing_table)


@pytest.mark.parametrize(
    "url",
    [
        "answers.sqlite",
        "oracle-of-delphi://x",
        "sqlite:////nowhere/at/all.sqlite",
        "postgresql+psycopg://me:secret@127.0.0.1:1/x",
        "postgresql+psycopg://me:secret@host:54x2/x",
        "mysql+pymysql://me:secret@host/x",
    ],
)
def test_a_url_that_leads_nowhere_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InputError, match=r"answers") as caught:
        Answers(url)
    assert "secret" not in str(caught.value)


def test_a_data_base_that_goes_away_is_told_in_words(tmp_path: Path) -> None:
    answers = Answers(f"sqlite:///{tmp_path / 'answers.sqlite'}")
    sitting(answers)
    with sqlite3.connect(tmp_path / "answers.sqlite") as connection:
        connection.execute("DROP TABLE desk_maps")
    with pytest.raises(InputError, match=r"can't be used: no such table: desk_maps"):
        answers.places(1)


def test_the_tables_are_made_in_other_kinds_of_data_bases_too() -> None:
    from sqlalchemy.dialects import mssql, mysql, oracle
    from sqlalchemy.schema import CreateTable

    for dialect in (mysql.dialect(), mssql.dialect(), oracle.dialect()):
        for table in Table.metadata.sorted_tables:
            indexed = {column.name for one in table.constraints if isinstance(one, UniqueConstraint) for column in one}
            assert not [name for name in indexed if isinstance(table.c[name].type, Text)], "no data base indexes these"
            assert table.name in str(CreateTable(table).compile(dialect=dialect))


def test_a_folder_of_any_name_holds_its_own_answers(tmp_path: Path) -> None:
    folder = tmp_path / "left? #1 %3F"
    folder.mkdir()
    Answers(_answers_in(folder)).close()
    assert (folder / "answers.sqlite").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_what_the_data_base_refuses_is_not_told_as_another_window(tmp_path: Path) -> None:
    answers = Answers(f"sqlite:///{tmp_path / 'answers.sqlite'}")
    who, place, (map, _) = sitting(answers)
    with sqlite3.connect(tmp_path / "answers.sqlite") as connection:
        for table in ("desk_answers", "desk_comments"):
            connection.execute(
                f"CREATE TRIGGER no_{table} BEFORE INSERT ON {table} BEGIN SELECT RAISE(FAIL, 'no more'); END"
            )
    with pytest.raises(InputError, match=r"can't be used: no more"):
        say(answers, who, place, map, RECALL, 3)
    with pytest.raises(InputError, match=r"can't be used: no more"):
        answers.comment(who, place, "dim")
    answers.close()


def test_letters() -> None:
    assert [letter(number) for number in (0, 25, 26, 51, 52)] == ["A", "Z", "AA", "AZ", "BA"]


class Machine(RuleBasedStateMachine):
    """The store beside a dictionary, whatever is done in whatever order, and opened anew in between."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.answers = Answers(f"sqlite:///{self.folder / 'answers.sqlite'}", random=random.Random(3))
        self.current: dict[tuple[int, int, int, str], list[int | None]] = {}
        self.history: dict[int, list[tuple[int, int, int, str]]] = {}
        self.turns: dict[tuple[int, int, int, str], int] = {}
        self.all = self.undone = 0
        self.spots = []
        for name in ("Anna", "Ben"):
            who, *_ = sitting(self.answers, name, count=2)
            self.history[who] = []
            for place in self.answers.places(who):
                self.spots += [(who, place.id, m.id, q) for m in self.answers.maps(who, place.id) for q in QUESTIONS]

    @rule(spot=st.integers(0, 23), value=st.sampled_from([None, 1, 2, 3, 4, 5]))
    def answer(self, spot: int, value: int | None) -> None:
        at = self.spots[spot]
        say(self.answers, *at, value)
        self.current.setdefault(at, []).append(value)
        self.history[at[0]].append(at)
        self.turns[at] = self.turns.get(at, 0) + 1
        self.all += 1

    @rule(who=st.sampled_from([0, 1]))
    def undo(self, who: int) -> None:
        number = list(self.history)[who]
        found = self.answers.undo(number)
        if not self.history[number]:
            assert found is None
            return
        at = self.history[number].pop()
        assert found == Asked(place=at[1], showing=at[2], question=at[3])  # type: ignore[arg-type]
        self.current[at].pop()
        self.undone += 1

    @rule()
    def open_again(self) -> None:
        self.answers.close()
        self.answers = Answers(f"sqlite:///{self.folder / 'answers.sqlite'}")

    @invariant()
    def same(self) -> None:
        assert counted(self.answers) == (self.all, self.undone)
        for who in self.history:
            for place in self.answers.places(who):
                given = self.answers.given(who, place.id)
                for (map, question), one in given.items():
                    at = (who, place.id, map, question)
                    left = self.current.get(at, [])
                    expected = Given(turn=self.turns.get(at, 0), answered=bool(left), value=left[-1] if left else None)
                    assert one == expected
                assert place.judged == all(self.current.get((who, place.id, *key)) for key in given)

    def teardown(self) -> None:
        if hasattr(self, "answers"):
            self.answers.close()
            shutil.rmtree(self.folder)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=8, stateful_step_count=12, deadline=None)
