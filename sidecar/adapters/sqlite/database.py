"""How do many callers, and several processes, write one SQLite file without waiting for locks?

A thread of its own holds the connection and the ledger. Whoever calls while it works joins the
next transaction: a group commit, so that one sync to the disk serves many callers, and what they
change together is written once. Each caller's work happens as a whole or not at all, whatever its
neighbours do: where one fails half-way, the group is done again with a savepoint for each. So work
may be done twice, and must not mind.
"""

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, cast

from sidecar.adapters.sqlite.ledger import Ledger
from sidecar.adapters.sqlite.schema import (
    APPLICATION_ID,
    OLDEST_VERSION,
    SCHEMA_VERSION,
    create,
    migrate,
)
from sidecar.adapters.sqlite.unfinished import Unfinished
from sidecar.adapters.watches import StoreWatches
from sidecar.errors import ConfigurationError, RequestFault, Unavailable
from sidecar.ports.watching import StoreWatch

_OPERATION: Final = "transaction"
"""What whoever watches hears; how many share a commit is another thing."""

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
Counting = Callable[[Ledger], T]

_GROUP: Final = 64
_IDLE_S: Final = 0.05
_CHECKPOINT: Final = 4_000
"""Pages that the log may have before it is written back; the more, the fewer are written twice."""


class StoreUnavailable(Unavailable):
    """The file could not be read or written in time."""


class Database:
    """One SQLite file, or a database in memory.

    Args:
        path: of the file, None for memory.
        timeout_s: how long a caller waits in all.
        watch: hears of each piece of work.
    """

    def __init__(
        self, path: Path | None, *, timeout_s: float = 2.0, watch: StoreWatch | None = None
    ) -> None:
        self._path = path
        self._watch = watch or StoreWatches()
        self._timeout_s = timeout_s
        self._jobs: queue.SimpleQueue[list[_Job[Any]] | None] = queue.SimpleQueue()
        self._arrived: dict[asyncio.AbstractEventLoop, list[_Job[Any]]] = {}
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Make the file and its tables where they are missing, and begin to work.

        Raises:
            ConfigurationError: the file cannot be made, or another program or version made it.
        """
        connection = self._connect()
        self._thread = threading.Thread(
            target=self._work, args=(connection,), name="sqlite", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Finish what is queued and close the file."""
        if self._thread is not None:
            for loop in tuple(self._arrived):
                self._hand_over(loop)
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def run(self, work: Work[T], *, since: float) -> Coroutine[None, None, T]:
        """What the work returned, after it is on the disk.

        Raises:
            StoreUnavailable: it was not done in time, or the file failed. Work that was
                begun may still be done.
        """
        return self._do(_Job(lambda ledger: _on_the_file(ledger, work)), since)

    def look(self, work: Work[T], *, since: float) -> Coroutine[None, None, T]:
        """The same of work that only reads, and nothing that the ledger knows."""
        return self._do(_Job(lambda ledger: work(ledger.connection)), since)

    def count(
        self, work: Counting[T], *, since: float, seeks: str = ""
    ) -> Coroutine[None, None, T]:
        """The same of work that knows counters by the ledger alone.

        Args:
            seeks: a reservation that it asks for, which most likely is not there.
        """
        return self._do(_Job(work, seeks), since)

    async def _do(self, job: "_Job[T]", since: float) -> T:
        if self._thread is None:
            raise StoreUnavailable("the database is closed")
        loop = asyncio.get_running_loop()
        job.loop, job.future = loop, loop.create_future()
        began_s = time.monotonic()
        deadline = since + self._timeout_s
        late = loop.call_later(max(deadline - began_s, 0.001), self._give_up, job.future)
        # Whoever comes in the same turn of the loop is handed over together.
        arrived = self._arrived.get(loop)
        if arrived is None:
            self._arrived[loop] = [job]
            loop.call_soon(self._hand_over, loop)
        else:
            arrived.append(job)
        try:
            result: T = await job.future
        except StoreUnavailable as error:
            is_late = time.monotonic() >= deadline
            self._watch.failed(_OPERATION, began_s, str(error), is_late=is_late)
            raise
        except RequestFault:
            # It has answered; what was asked for cannot be.
            self._watch.asked(_OPERATION, began_s)
            raise
        finally:
            late.cancel()
        self._watch.asked(_OPERATION, began_s)
        return result

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        arrived = self._arrived.pop(loop, None)
        if arrived is not None:
            self._jobs.put(arrived)

    def _give_up(self, future: asyncio.Future[Any]) -> None:
        if not future.done():
            future.set_exception(
                StoreUnavailable(f"the database did not answer within {self._timeout_s:.0f} s")
            )

    def _connect(self) -> sqlite3.Connection:
        try:
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                ":memory:" if self._path is None else self._path,
                timeout=self._timeout_s,
                isolation_level=None,
                check_same_thread=False,
            )
            # Before anything is changed in it: it may be anybody's.
            fault = _fault_of(connection)
            if fault is not None:
                connection.close()
                raise ConfigurationError(f"{self._place}: {fault}")
            _use_wal(connection, self._timeout_s)
            # A power cut may not take what was acknowledged; a group commit makes it cheap.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT}")
            connection.execute("BEGIN IMMEDIATE")
            # Looked at again: another process may have made or changed the tables meanwhile.
            _, version, tables = _head(connection)
            if tables == 0:
                create(connection)
            elif version < SCHEMA_VERSION:
                migrate(connection, version)
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(
                f"{self._place}: the database cannot be opened: {error}"
            ) from error
        return connection

    @property
    def _place(self) -> str:
        """The file, as everybody would find it."""
        return "memory" if self._path is None else str(self._path.resolve())

    def _work(self, connection: sqlite3.Connection) -> None:
        ledger = Ledger(connection)
        jobs: list[_Job[Any]] = []
        is_last = False
        while jobs or not is_last:
            while not is_last and len(jobs) < _GROUP:
                try:
                    following = self._jobs.get(block=not jobs, timeout=_patience_s(ledger))
                except queue.Empty:
                    break
                if following is None:
                    is_last = True
                else:
                    jobs += following
            if not jobs:
                _write_all(ledger)
            waiting = [job for job in jobs if not job.is_abandoned]
            jobs = _commit_together(ledger, waiting[:_GROUP]) + waiting[_GROUP:] if waiting else []
        if ledger.is_ahead:
            _write_all(ledger)
        connection.close()


def _patience_s(ledger: Ledger) -> float | None:
    """How long nobody must come before the journal is written into the tables."""
    return _IDLE_S if ledger.is_ahead else None


def _write_all(ledger: Ledger) -> None:
    """Write what the journal has into the tables; if that fails, whoever is next does it."""
    try:
        _begin(ledger)
        ledger.write()
        ledger.connection.execute("COMMIT")
    except sqlite3.Error:
        with contextlib.suppress(sqlite3.Error):
            ledger.connection.execute("ROLLBACK")
        ledger.forget()


def _head(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Whose file it is, of which version, and how many tables and indexes are in it."""
    # In one statement, because another process may be making the tables at this instant.
    application, version, tables = connection.execute(
        "SELECT application_id, user_version, (SELECT COUNT(*) FROM sqlite_schema) "
        "FROM pragma_application_id, pragma_user_version"
    ).fetchone()
    return application, version, tables


def _fault_of(connection: sqlite3.Connection) -> str | None:
    """Why a file is not ours to use, None if it is ours or empty."""
    application, version, tables = _head(connection)
    if (application, version, tables) == (0, 0, 0):
        return None
    if application != APPLICATION_ID:
        return "the database is another program's; name a file of its own in SIDECAR_STORE"
    if not OLDEST_VERSION <= version <= SCHEMA_VERSION:
        return f"the database has schema {version}, this version reads {SCHEMA_VERSION}"
    return None


def _use_wal(connection: sqlite3.Connection, timeout_s: float) -> None:
    """Turn the write-ahead log on; SQLite does not wait for other processes that do the same."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


class _Job(Generic[T]):
    """Work of one caller, and where its result goes."""

    __slots__ = ("error", "future", "loop", "result", "seeks", "work")

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[T]

    def __init__(self, work: Counting[T], seeks: str = "") -> None:
        self.work = work
        self.seeks = seeks
        self.result: T | None = None
        self.error: Exception | None = None

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody waits any more; then it need not be begun."""
        return self.future.done()

    def tell(self) -> None:
        """Hand the result over; runs in the caller's loop."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(cast("T", self.result))


def _on_the_file(ledger: Ledger, work: Work[T]) -> T:
    """Do work on the file itself."""
    ledger.write()
    ledger.mark()
    try:
        return work(ledger.connection)
    finally:
        if ledger.has_changed:
            ledger.forget()


def _commit_together(ledger: Ledger, jobs: list[_Job[Any]]) -> list[_Job[Any]]:
    """Do work in one transaction, and tell whose it was; the rest is for the next one."""
    connection = ledger.connection
    done: int | None = len(jobs)
    try:
        _begin(ledger)
        done = _do_together(ledger, jobs)
        if done is None:
            connection.execute("ROLLBACK")
            ledger.forget()
            _begin(ledger)
            done = _do_apart(ledger, jobs)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        ledger.forget()
        done = len(jobs)
        for job in jobs:
            job.error = _failure(error)
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job[Any]]] = {}
    for job in jobs[:done]:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, told in by_loop.items():
        try:
            loop.call_soon_threadsafe(_tell, told)
        except RuntimeError:
            # The loop is closed: its callers are gone.
            continue
    return jobs[done:]


def _begin(ledger: Ledger) -> None:
    ledger.connection.execute("BEGIN IMMEDIATE")
    ledger.begin()


def _do_together(ledger: Ledger, jobs: list[_Job[Any]]) -> int | None:
    """Do work in its order, and say of how many it is done; None if it must be done apart."""
    done = len(jobs)
    try:
        ledger.reservations.seek([job.seeks for job in jobs if job.seeks])
        for position, job in enumerate(jobs):
            ledger.mark()
            job.error = None
            try:
                job.result = job.work(ledger)
            except Unfinished:
                done = position
                break
            except RequestFault as error:
                if ledger.has_changed:
                    return None
                # A refusal is one caller's: the thread serves all.
                job.error = error
        ledger.end()
    except Exception:
        if not ledger.connection.in_transaction:
            # The file itself failed, and SQLite has undone the whole group.
            raise
        return None
    return done


def _do_apart(ledger: Ledger, jobs: list[_Job[Any]]) -> int:
    """The same, where each can be undone alone; that costs half as much more."""
    connection = ledger.connection
    for position, job in enumerate(jobs):
        job.error = None
        connection.execute("SAVEPOINT job")
        try:
            job.result = job.work(ledger)
            ledger.write()
        except Unfinished:
            ledger.write()
            return position
        except Exception as error:
            if not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO job")
            ledger.forget()
            # A defect in one caller's work is that caller's.
            job.error = _failure(error) if isinstance(error, sqlite3.Error) else error
        connection.execute("RELEASE job")
    return len(jobs)


def _failure(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"the database failed: {error}")


def _tell(jobs: list[_Job[Any]]) -> None:
    for job in jobs:
        job.tell()
