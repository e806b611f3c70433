"""The door to the records: one unit of work, one `with` block, committed or rolled back whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, get_args

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from kizu_db.engine import PROMPT_S, WAIT_S, Use, make_engine, refused
from kizu_db.migrations import require_current
from kizu_db.repositories.accounts import Accounts
from kizu_db.repositories.analysis import Analysis
from kizu_db.repositories.audit_trail import AuditTrail
from kizu_db.repositories.claims import Claims
from kizu_db.repositories.credentials import Credentials
from kizu_db.repositories.database import Database
from kizu_db.repositories.inspections import Inspections
from kizu_db.repositories.limits import StationLimits
from kizu_db.repositories.models import Models
from kizu_db.repositories.neighbours import Neighbours
from kizu_db.repositories.outbox import Outbox
from kizu_db.repositories.plant import Lots
from kizu_db.repositories.quarantine import Quarantine
from kizu_db.repositories.recipes import Recipes
from kizu_db.repositories.reports import Reports
from kizu_db.repositories.retention import Retention
from kizu_db.repositories.review_queue import ReviewQueue
from kizu_db.repositories.reviews import Reviews
from kizu_db.repositories.rollups import Rollups
from kizu_db.repositories.scanned import Scanned
from kizu_db.repositories.second_reviews import SecondReviews
from kizu_db.repositories.sign_ins import SignIns
from kizu_db.repositories.signals import Signals
from kizu_db.repositories.stations import Stations
from kizu_db.repositories.terminals import Terminals
from kizu_db.repositories.users import Users
from kizu_db.repositories.verifications import Verifications
from kizu_db.settings import DatabaseSettings
from kizu_db.turns import Turns
from kizu_inspect.durable import identity_of
from kizu_inspect.errors import RecordError, RecordsAway

__all__ = ["Records", "Unit"]


class Unit:
    """The repositories of one transaction; of use only inside its `with` block."""

    def __init__(self, session: Session) -> None:
        self.rollups = Rollups(session)
        self.trail = AuditTrail(session)
        self.sign_ins = SignIns(session, self.trail)
        self.users = Users(session, self.trail, self.sign_ins)
        self.accounts = Accounts(session, self.trail, self.users, self.sign_ins)
        self.credentials = Credentials(session, self.trail, self.users, self.sign_ins)
        self.terminals = Terminals(session, self.trail, self.users, self.sign_ins)
        self.queue = ReviewQueue(session, self.trail, self.users)
        self.inspections = Inspections(session, self.rollups, self.queue)
        self.neighbours = Neighbours(session, self.rollups)
        self.reviews = Reviews(session, self.rollups, self.queue, self.trail, self.users)
        self.scanned = Scanned(session)
        self.second_reviews = SecondReviews(session, self.reviews, self.queue, self.trail, self.users)
        self.models = Models(session, self.trail)
        self.recipes = Recipes(session, self.trail)
        self.limits = StationLimits(session, self.recipes, self.trail, self.users)
        self.stations = Stations(session)
        self.lots = Lots(session, self.trail, self.users)
        self.quarantine = Quarantine(session, self.trail, self.users)
        self.outbox = Outbox(session)
        self.signals = Signals(session)
        self.reports = Reports(session, self.trail, self.users)
        self.analysis = Analysis(session, self.rollups)
        self.retention = Retention(session, self.rollups, self.trail)
        self.database = Database(session)
        self.verifications = Verifications(self.trail, self.users)

    def finish(self) -> None:
        """Write what waits for the unit's end. Rows that many programs want come last, always in this order."""
        self.rollups.flush()
        self.trail.flush()


class Records:
    """The records of one database. Threads may share it: each unit has a connection of its own."""

    def __init__(self, settings: DatabaseSettings, *, patient: bool = False) -> None:
        self._shown_url = settings.shown
        self._file = settings.file
        self._file_is = None if self._file is None else identity_of(self._file)
        self._engines: dict[Use, Engine] = {use: make_engine(settings, use, gives_up=not patient) for use in get_args(Use)}
        self._writer, self._passing = self._engines["write"], self._engines["pass"]
        # SQLite has one writer. The threads of this program line up here, where the next one goes on at once; SQLite itself
        # would let each sleep and look again. PostgreSQL has many, but claims are so short that the threads would only take
        # the interpreter from each other: two at a time, in order, let nobody wait for long.
        alone = self._writer.dialect.name == "sqlite"
        self._turns = Turns(1) if alone else Turns(2)
        lined_up: tuple[Use, ...] = ("write", "prompt", "pass") if alone else ("pass",)
        self._lined_up = [self._engines[use] for use in lined_up]

    @classmethod
    def open(cls, settings: DatabaseSettings, *, patient: bool = False) -> Records:
        """The records at this address; close them after use.

        Nobody waits for ever for a server that says nothing, unless `patient`, for statements that may take long.
        Raises SchemaError where the database has another version than this program (or none), RecordError where it cannot
        be reached, ConfigError where the password cannot be read.
        """
        require_current(settings)
        return cls(settings, patient=patient)

    @property
    def file(self) -> Path | None:
        """The SQLite file; None for PostgreSQL."""
        return self._file

    @contextmanager
    def unit(self, *, read_only: bool = False, prompt: bool = False) -> Iterator[Unit]:
        """One transaction: all of it is kept, or, after an exception, nothing.

        A read-only unit sees one unchanging state and waits for nobody; on SQLite any other unit is the only writer
        while it lasts, so draw pictures and pages outside of it. `prompt` is for who can do without the records: it waits for
        locks and servers only shortly. Raises RecordError where the database refuses, or is another one than it was,
        RecordRefused for what is in the rows, RecordsAway where it cannot be had now.
        """
        engine = self._engines[("look" if prompt else "read") if read_only else ("prompt" if prompt else "write")]
        try:
            with Session(engine) as session:
                unit = Unit(session)
                with self._turn(engine), session.begin():
                    yield unit
                    if not read_only:
                        unit.finish()
        except SQLAlchemyError as exc:
            raise refused(exc, self._shown_url) from exc

    @contextmanager
    def claims(self) -> Iterator[Claims]:
        """The parts that reviewers take. What is done here waits for no disk: a power cut may take it back.

        Raises RecordError where the database refuses or is away.
        """
        try:
            with self._turn(self._passing), self._passing.begin() as connection:
                yield Claims(connection)
        except SQLAlchemyError as exc:
            raise refused(exc, self._shown_url) from exc

    def _require_the_same_file(self) -> None:
        """An open connection goes on in a file that was deleted or replaced, and nobody would ever see what it writes."""
        found = None if self._file is None else identity_of(self._file)
        if found == self._file_is:
            return
        if found is None:
            raise RecordsAway(
                f"The database {self._shown_url} is gone", found="no file", expected="the file of the start",
                next_step="Put it back. Nothing of this step counts as kept.",
            )  # fmt: skip
        raise RecordError(
            f"The database {self._shown_url} is not the one that this program opened",
            found="another file under its name",
            expected="the file of the start",
            next_step="Put that one back, or keep the new one, and start again. Nothing of this step counts as kept.",
        )

    @contextmanager
    def _turn(self, engine: Engine) -> Iterator[None]:
        wait_s = PROMPT_S if engine is self._engines["prompt"] else WAIT_S
        with ExitStack() as held:
            if engine in self._lined_up:
                try:
                    held.enter_context(self._turns.take(timeout_s=wait_s))
                except TimeoutError:
                    raise RecordsAway(
                        f"The database {self._shown_url} is busy",
                        found=f"units of this program that have lasted {wait_s:.0f} s",
                        next_step="Nothing of this step was kept.",
                    ) from None
            self._require_the_same_file()  # before SQLite makes an empty one in the place of one that is gone
            yield
            self._require_the_same_file()  # what was committed into a file that has lost its name is lost with it

    def close(self) -> None:
        """Close all connections."""
        for engine in self._engines.values():
            engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.close()
