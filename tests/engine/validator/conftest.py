"""An arena of the test's own, over each of the databases that the market may lie in."""

import pytest

from engine.validator.store.database import Store
from tests.engine.validator.arena import Arena
from tests.postgres import Cluster


@pytest.fixture(scope="session")
def cluster():
    """A PostgreSQL server that stays."""
    one = Cluster()
    one.start()
    yield one
    one.close()


@pytest.fixture(
    scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
)
def server(request):
    """Where the tables lie, of a wider scope than what watches over processes left: a server stays."""
    return None if request.param == "sqlite" else request.getfixturevalue("cluster")


@pytest.fixture
def place(server, tmp_path):
    """Where a validator's tables may be: a file, or the URL of an empty database."""
    return tmp_path / "validator.sqlite" if server is None else server.new_database()


@pytest.fixture
def arena(tmp_path, place):
    made = []

    def make(**more):
        made.append(Arena(tmp_path, **{"place": place} | more))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def stores(place):
    """Opens the database, as another process would."""
    opened = []

    def another(policy=None):
        opened.append(Store.open(place, policy))
        return opened[-1]

    yield another
    for one in opened:
        one.close()
