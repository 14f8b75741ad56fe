"""An arena of the test's own."""

import pytest

from tests.engine.validator.arena import Arena


@pytest.fixture
def arena(tmp_path):
    made = []

    def make(**more):
        made.append(Arena(tmp_path, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()
