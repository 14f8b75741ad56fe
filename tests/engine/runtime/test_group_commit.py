"""Changes that are written in groups: how many syncs, what a failing one takes with it, and kill -9."""

import asyncio
import sqlite3
import subprocess
import sys
from functools import partial

import pytest

from engine.runtime.database import Database
from engine.runtime.errors import DatabaseError
from engine.runtime.group_commit import GroupCommit
from tests.processes import end

SCHEMA = "CREATE TABLE IF NOT EXISTS done (number INTEGER PRIMARY KEY) STRICT;"


class Counted(Database):
    """Counts its transactions."""

    transactions = 0

    def write(self):
        self.transactions += 1
        return super().write()


@pytest.fixture
def database(tmp_path):
    with Counted.open(tmp_path / "some.sqlite", SCHEMA, version=1) as one:
        yield one


def put(database, number):
    with Database.write(database) as db:  # within the group's, and not counted
        db.execute("INSERT INTO done VALUES (?)", (number,))
    return number


def committed(database):
    """What another program reads of the file."""
    with sqlite3.connect(database.path) as other:
        return [number for (number,) in other.execute("SELECT number FROM done ORDER BY number")]


def test_what_comes_together_is_one_transaction_and_on_the_disk_when_it_is_said(database):
    async def run():
        groups = GroupCommit(database)
        futures = [groups.add(partial(put, database, number)) for number in range(50)]
        assert await futures[0] == 0
        assert committed(database) == list(range(50))
        assert await asyncio.gather(*futures) == list(range(50))
        await groups.add(partial(put, database, 50))
        assert committed(database) == list(range(51))

    asyncio.run(run())
    assert database.transactions == 2


def test_a_change_that_raises_is_undone_alone(database):
    def half(number):
        put(database, number)
        raise ValueError(f"no {number}")

    async def run():
        groups = GroupCommit(database)
        changes = [
            partial(half if number % 3 else partial(put, database), number) for number in range(9)
        ]
        made = await asyncio.gather(*map(groups.add, changes), return_exceptions=True)
        assert [one for one in made if isinstance(one, int)] == [0, 3, 6]
        assert all(isinstance(made[number], ValueError) for number in (1, 2, 4, 5, 7, 8))

    asyncio.run(run())
    assert committed(database) == [0, 3, 6]


def test_a_group_that_cannot_be_written_is_the_last_and_nothing_is_done_after_it(database):
    after = []

    async def run():
        groups = GroupCommit(database, lambda: partial(after.append, "said"))
        await groups.add(partial(put, database, 1))
        database.path.unlink()
        for _attempt in range(2):  # what was decided since rests on what was lost
            futures = [groups.add(partial(put, database, number)) for number in (2, 3)]
            made = await asyncio.gather(*futures, return_exceptions=True)
            assert all(isinstance(one, DatabaseError) for one in made)
        assert isinstance(groups.error, DatabaseError)

    asyncio.run(run())
    assert after == ["said"]


SAYS_WHAT_IS_WRITTEN = """
import asyncio, sys
from functools import partial
from pathlib import Path
from engine.runtime.database import Database
from engine.runtime.group_commit import GroupCommit
from tests.engine.runtime.test_group_commit import SCHEMA, put

async def say(groups, database, number):
    print(await groups.add(partial(put, database, number)), flush=True)

async def main(database):
    groups = GroupCommit(database)
    for first in range(0, 10**6, 20):
        await asyncio.gather(*(say(groups, database, first + more) for more in range(20)))

with Database.open(Path(sys.argv[1]), SCHEMA, version=1) as database:
    asyncio.run(main(database))
"""


def test_kill_dash_nine_takes_back_nothing_that_was_said(tmp_path):
    path = tmp_path / "some.sqlite"
    process = subprocess.Popen(
        [sys.executable, "-c", SAYS_WHAT_IS_WRITTEN, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        said = [int(process.stdout.readline()) for _ in range(130)]
        process.kill()
        said += [int(line) for line in process.stdout.read().splitlines() if line]
    finally:
        end(process)
    with Database.open(path, SCHEMA, version=1) as database:
        written = committed(database)
        assert set(said) <= set(written)
        assert len(written) % 20 == 0  # whole groups only
