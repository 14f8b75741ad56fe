"""What crosses from the gateway to the process with the key is JSON of known shape, or nothing."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.pool.launcher import Connected, Exited, Heard, Joined, Left, Unreachable
from engine.pool.messages import Beat, Computed, Done, Failed, Opened, Ready
from engine.pool.ray.events import NoFarmEvent, read, write
from kernels.work import Outcome

NAMES = st.text(max_size=40)
NUMBERS = st.integers(0, 2**40)
SECONDS = st.floats(0, 1e9)
OUTCOMES = st.builds(
    Outcome, st.binary(max_size=40), st.none() | NAMES, st.none() | st.binary(max_size=300)
)
MESSAGES = st.one_of(
    st.builds(Ready, NAMES, SECONDS),
    st.builds(Beat, NUMBERS),
    st.builds(Computed, NUMBERS, st.binary(max_size=40), NAMES, NAMES, SECONDS),
    st.builds(Opened, NUMBERS, st.binary(max_size=300)),
    st.builds(Done, NUMBERS, OUTCOMES, NAMES, SECONDS),
    st.builds(Failed, st.none() | NUMBERS, NAMES, NAMES),
)
EVENTS = st.one_of(
    st.builds(Heard, NAMES, NUMBERS, MESSAGES),
    st.builds(Exited, NAMES, NUMBERS, st.none() | st.integers(-64, 255)),
    st.builds(Joined, NAMES),
    st.builds(Left, NAMES, NAMES),
    st.builds(Connected, NAMES),
    st.builds(Unreachable, NAMES),
)


@given(EVENTS)
def test_what_is_written_is_read(event):
    assert read(write(event)) == event


@given(st.binary(max_size=200) | st.just(pickle.dumps(Joined("x"))))
def test_other_bytes_are_no_event(frame):
    with pytest.raises(NoFarmEvent):
        read(frame)


@pytest.mark.parametrize(
    "frame",
    [
        b'["Joined",{"device":7}]',
        b'["Joined",{"device":"a","more":1}]',
        b'["Exited",{"device":"a","generation":"1","exitcode":null}]',
        b'["Heard","a",1,["Nothing",{}]]',
        b'["Heard","a",1,["Computed",{"ticket":1}]]',
        b'["Reboot",{}]',
        b"[]",
        b"null",
    ],
)
def test_a_frame_of_the_wrong_shape_is_no_event(frame):
    with pytest.raises(NoFarmEvent):
        read(frame)


@pytest.mark.parametrize(
    "event",
    [
        Heard("a", 1, Computed("1", b"", "", "cpu", 0.1)),  # type: ignore[arg-type]
        Heard("a", 1, Computed(1, "root", "", "cpu", 0.1)),  # type: ignore[arg-type]
        Heard("a", 1, object()),  # type: ignore[arg-type]
        Exited("a", 1, "nine"),  # type: ignore[arg-type]
    ],
)
def test_what_a_machine_made_of_wrong_types_is_not_written(event):
    with pytest.raises(NoFarmEvent):
        write(event)
