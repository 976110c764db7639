"""Opening the data base of answers, SQLite or PostgreSQL; SQLite so that what was acknowledged survives a power failure."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, select
from sqlalchemy.exc import ArgumentError, IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from modalens.app.desk.schema import SCHEMA, Table, Version
from modalens.errors import InputError

WAIT = 30.0
"""Seconds that one who writes waits for others who write."""


class Database:
    """A data base with the desk's tables, which are made where it is empty.

    url: as SQLAlchemy writes it, `sqlite:///answers.sqlite` or `postgresql+psycopg://user@host/name`. These two kinds are tried in the
    tests; others may tell names apart in ways of their own.

    Raises InputError for a URL that is none or of another kind of data base, one that can't be reached or is damaged, and one that holds other tables.

    >>> Database("sqlite:////nowhere/answers.sqlite")
    Traceback (most recent call last):
    modalens.errors.InputError: the data base of answers sqlite:////nowhere/answers.sqlite ...
    """

    def __init__(self, url: str) -> None:
        self.name, self._engine = _engine(url)
        with self._told():
            self._prepare()
        self._writer = self._engine.execution_options(modalens_writing=True)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that only reads."""
        with self._told(), Session(self._engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that is kept as a whole or not at all. Raises IntegrityError where another was quicker."""
        with self._told(), Session(self._writer) as session, session.begin():
            yield session

    def close(self) -> None:
        """Let go of the data base."""
        self._engine.dispose()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except SQLAlchemyError as error:
            raise self.failure(error) from error

    def failure(self, error: SQLAlchemyError) -> InputError:
        """What the data base said, in words for whoever runs the desk."""
        why = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        return InputError(
            f"the data base of answers {self.name} can't be used: {why}. Give its URL with --answers, such as sqlite:///answers.sqlite; where it is damaged, bring back a copy."
        )

    def _prepare(self) -> None:
        """Make the tables in an empty data base; check that they are ours in another."""
        tables = set(inspect(self._engine).get_table_names())
        if not tables:
            try:
                with self._making() as connection:
                    Table.metadata.create_all(connection)
                    if connection.execute(select(Version.version)).first() is None:
                        connection.execute(Version.__table__.insert().values(version=SCHEMA))  # type: ignore[attr-defined]
            except SQLAlchemyError:
                if Version.__tablename__ not in inspect(self._engine).get_table_names():
                    raise  # else another process made them at the same time
            tables = set(inspect(self._engine).get_table_names())
        if missing := set(Table.metadata.tables) - tables:
            what = "lacks some of its tables" if Version.__tablename__ in tables else "belongs to something else"
            raise InputError(
                f"the data base of answers {self.name} {what} (no {sorted(missing)[0]}): give an empty one, or one that the annotation desk made."
            )
        with self._engine.connect() as connection:
            versions = list(connection.scalars(select(Version.version)))
        if versions != [SCHEMA]:
            came = ", ".join(map(str, versions)) or "none"
            raise InputError(
                f"the data base of answers {self.name} has tables of version {came}, and this modalens writes version {SCHEMA}: use the modalens that made it, or give an empty one."
            )

        if self._engine.dialect.name == "sqlite":
            self._write_ahead()

    def _write_ahead(self) -> None:
        """Let SQLite keep a log of what is written, so that others read meanwhile: only in a file that is known to be ours, since
        it stays. SQLite does not wait for others here, so we do.
        """
        until = time.monotonic() + WAIT
        while True:
            try:
                with self._engine.execution_options(modalens_plain=True).connect() as connection:
                    connection.exec_driver_sql("PRAGMA journal_mode = WAL")
                return
            except OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.02)

    @contextmanager
    def _making(self) -> Iterator[Connection]:
        """A transaction for making tables."""
        with self._engine.execution_options(modalens_writing=True).begin() as connection:
            yield connection


def _engine(url: str) -> tuple[str, Engine]:
    """How the data base is named in messages (without its password), and what reaches it."""
    try:
        parsed: URL = make_url(url)
        name = parsed.render_as_string(hide_password=True)
        if parsed.get_backend_name() == "sqlite":
            return name, _sqlite(parsed)
        return name, create_engine(parsed, pool_pre_ping=True)
    except InputError:
        raise
    except (ArgumentError, ModuleNotFoundError, SQLAlchemyError, ValueError) as error:
        raise InputError(
            f"answers is the URL of a data base, such as sqlite:///answers.sqlite or postgresql+psycopg://user@host/name, whose driver is installed: {error}."
        ) from error


def _sqlite(url: URL) -> Engine:
    """One who writes takes the lock at once, so that nobody finds out late that another was quicker; others read meanwhile."""
    if url.database and Path(url.database).parent.is_dir():
        try:
            Path(url.database).touch(mode=0o600)  # patients' data: for its owner only
        except OSError as error:
            raise InputError(f"the data base of answers {url} can't be written: {error.strerror}.") from error
    engine = create_engine(url, connect_args={"timeout": WAIT})

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say so
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        options = connection.get_execution_options()
        if not options.get("modalens_plain"):
            connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("modalens_writing") else "BEGIN")

    return engine
