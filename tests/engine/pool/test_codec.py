"""What children and gateways say is plain data of known shape and size, or it is not believed."""

import json
import os
import pickle
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.monitor.events.pool import ChildKilled
from engine.pool.codec import (
    SMALL_FRAME,
    BrokenMessage,
    Frames,
    check_event,
    decode_event,
    decode_message,
    encode,
    one_line,
    write_frame,
)
from engine.pool.launcher import Connected, Exited, Heard, Joined, Left, Unreachable
from engine.pool.limits import Limits
from engine.pool.messages import (
    Beat,
    Compiling,
    Computed,
    Done,
    Failed,
    Open,
    Opened,
    Ready,
    Run,
    Work,
)
from engine.pool.processes import answer_bytes
from kernels.data import Data
from kernels.devices import open_device
from kernels.task import Task
from kernels.work import Outcome
from kernels.work.matmul import MatrixWork
from kernels.work.synthetic import SyntheticWork
from tests.engine.pool import villains

NAMES = st.text(max_size=300).map(one_line)
NUMBERS = st.integers(0, 2**53 - 1)
SECONDS = st.floats(0, 1e9)
OUTCOMES = st.builds(
    Outcome, st.binary(min_size=32, max_size=32), st.none() | NAMES, st.none() | st.binary()
)
MESSAGES = st.one_of(
    st.builds(Ready, NAMES, SECONDS),
    st.builds(Compiling, NUMBERS, NUMBERS),
    st.builds(Beat, NUMBERS),
    st.builds(Computed, NUMBERS, st.binary(min_size=32, max_size=32), NAMES, NAMES, SECONDS),
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
EXAMPLES = [
    Ready("cpu", 1.0),
    Beat(2**20),
    Computed(1, bytes(32), "01", "cpu", 0.5),
    Opened(1, bytes(64)),
    Done(1, Outcome(bytes(32), "ab", b"cd", bytes(64)), "cpu", 0.5),
    Failed(1, "TaskTooLarge", "no room"),
]
NAN, INFINITE = float("nan"), float("inf")
A_NAME = [None, 7, b"cpu", "c" * 2001, "a\nb", "a\x1b[2J", "a\u202eb", ["cpu"]]
A_TICKET = [-1, 2**53, 2**64 - 1, 1.0, True, "1", [1], {}]
SECONDS_SPENT = [NAN, INFINITE, -INFINITE, -0.1, 1e10, "1", None, True]
A_DIGEST = [None, bytes(31), bytes(33), b"", "a" * 32, [0] * 32]
MALFORMED = {
    "device": A_NAME,
    "kind": A_NAME,
    "detail": A_NAME,
    "ticket": A_TICKET,
    "memory": [None, *A_TICKET],
    "seconds": SECONDS_SPENT,
    "root": A_DIGEST,
    "result_hash": A_DIGEST,
    "proof": [7, b"01", ["01"]],
    "siblings": [None, "siblings", 7, [b""]],
    "data": ["data", 7, [b""]],
    "leaves": ["leaves", 7, [b""], bytes(32 * 257)],
    "outcome": [None, [], 7, {}, b"outcome"],
    "type": [None, "Reboot", "Work", 7, b"Ready"],
}


def payload(message):
    return bytes(encode(message)[4:])


def plain(message):
    return msgspec.msgpack.decode(payload(message))


def mutants():
    """Each field of each message with each malformed value, a field missing, and one too many."""
    for example in EXAMPLES:
        fields = plain(example)
        parts = [(), ("outcome",)] if "outcome" in fields else [()]
        for path in parts:
            for name in fields[path[0]] if path else fields:
                for value in MALFORMED[name]:
                    mutant = plain(example)
                    (mutant[path[0]] if path else mutant)[name] = value
                    yield pytest.param(mutant, id=f"{fields['type']}.{name}={value!r:.20}")
                if name != "memory":  # which has a default
                    mutant = plain(example)
                    del (mutant[path[0]] if path else mutant)[name]
                    yield pytest.param(mutant, id=f"{fields['type']} without {name}")
            mutant = plain(example)
            (mutant[path[0]] if path else mutant)["more"] = 1
            yield pytest.param(mutant, id=f"{fields['type']} with more{path}")


@given(MESSAGES)
def test_what_a_child_says_is_read_as_it_was_said(message):
    assert decode_message(payload(message)) == message


@given(EVENTS)
def test_what_a_gateway_says_is_read_as_it_was_said(event):
    assert decode_event(payload(event)) == event


@pytest.mark.parametrize("mutant", list(mutants()))
def test_a_malformed_field_is_refused_in_one_printable_line(mutant):
    with pytest.raises(BrokenMessage) as caught:
        decode_message(msgspec.msgpack.encode(mutant))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) <= 300
    heard = {"type": "Heard", "device": "rig/cpu", "generation": 1, "message": mutant}
    with pytest.raises(BrokenMessage):
        decode_event(msgspec.msgpack.encode(heard))


@pytest.mark.parametrize(
    "event",
    [
        {"type": "Joined", "device": 7},
        {"type": "Joined", "device": "a", "more": 1},
        {"type": "Joined", "device": "a\n"},
        {"type": "Exited", "device": "a", "generation": "1", "exitcode": None},
        {"type": "Exited", "device": "a", "generation": 1, "exitcode": 2**40},
        {"type": "Heard", "device": "a", "generation": 1, "message": {"type": "Nothing"}},
        {"type": "Heard", "device": "a", "generation": -1, "message": {"type": "Beat"}},
        {"type": "Heard", "device": "a", "generation": 1, "message": None},
        {"type": "Left", "device": "a", "reason": "r" * 2001},
        {"type": "Reboot"},
        [],
        None,
    ],
)
def test_an_event_of_the_wrong_shape_is_refused(event):
    with pytest.raises(BrokenMessage):
        decode_event(msgspec.msgpack.encode(event))


BYTES = st.one_of(
    st.binary(max_size=200),
    st.just(pickle.dumps(Joined("x"))),
    st.just(pickle.dumps(Beat(1))),
    st.just(json.dumps({"type": "Beat"}).encode()),
    st.just(b"\x91" * 10_000),
    st.just(b"\x81\xa4type\xa1\xff"),
    MESSAGES.map(payload).map(lambda frame: frame[:-1]),
    MESSAGES.map(payload).map(lambda frame: frame + b"\0"),
)


@given(BYTES)
def test_other_bytes_are_refused(frame):
    for decode in (decode_message, decode_event):
        with pytest.raises(BrokenMessage):
            decode(frame)


@pytest.mark.parametrize(
    "event",
    [
        Heard("a", 1, Computed("1", bytes(32), "", "cpu", 0.1)),
        Heard("a", 1, Computed(1, "root", "", "cpu", 0.1)),
        Heard("a", 1, Computed(1, bytes(32), "", "cpu", NAN)),
        Heard("a", 1, object()),
        Heard("a", 1, Done(1, object(), "cpu", 0.1)),
        Heard("a", 1, Done(1, Outcome(bytes(32), "\ud800"), "cpu", 0.1)),
        Heard("a", 2**70, Beat(1)),
        Exited("a", "nine", None),
        Heard("a", 1, Opened(2, bytes(SMALL_FRAME))),
    ],
)
def test_what_a_machine_made_of_wrong_types_or_too_large_is_not_passed_on(event):
    with pytest.raises(BrokenMessage):
        check_event(event, {})


def test_what_a_machines_jobs_can_give_is_passed_on():
    owed = {1: 2**20, 2: 10}
    check_event(Heard("a", 1, Opened(1, bytes(2**20))), owed)
    assert owed == {2: 10}  # its answer came, and no second one of that size is due
    with pytest.raises(BrokenMessage, match="more than its jobs can give"):
        check_event(Heard("a", 1, Opened(1, bytes(2**20))), owed)


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    yield reader, writer
    os.close(reader)
    os.close(writer)


@given(st.lists(MESSAGES, max_size=5), st.integers(1, 50))
def test_frames_are_read_however_they_are_cut(messages, step):
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    frames = Frames(decode_message)
    stream = b"".join(bytes(encode(message)) for message in messages)
    found = []
    for start in range(0, len(stream), step):
        write_frame(writer, stream[start : start + step])
        found += frames.read(reader)
        assert frames.read(reader) == []
    assert found == messages
    assert not frames.ended
    os.close(writer)
    assert frames.read(reader) == []
    assert frames.ended
    assert frames.error == ""
    os.close(reader)


def test_a_frame_beyond_what_is_owed_is_refused_at_its_header(pipe):
    reader, writer = pipe
    frames = Frames(decode_message)
    frames.owed[7] = 2**20
    os.write(writer, struct.pack(">I", SMALL_FRAME + 2**20))
    assert frames.read(reader) == []
    assert not frames.ended
    frames = Frames(decode_message)
    frames.owed[7] = 2**20
    os.write(writer, struct.pack(">I", SMALL_FRAME + 2**20 + 1))
    assert frames.read(reader) == []
    assert frames.ended
    assert "more than its jobs can give" in frames.error


def test_an_answer_is_owed_once(pipe):
    reader, writer = pipe
    frames = Frames(decode_message)
    frames.owed[7] = 2**20
    write_frame(writer, encode(Opened(7, b"siblings")))
    assert frames.read(reader) == [Opened(7, b"siblings")]
    assert frames.owed == {}


def test_what_came_before_a_broken_frame_is_heard(pipe):
    reader, writer = pipe
    frames = Frames(decode_message)
    write_frame(writer, encode(Beat(1)) + encode(Beat(2)) + encode(Joined("x")) + encode(Beat(3)))
    assert frames.read(reader) == [Beat(1), Beat(2)]
    assert frames.ended
    assert "Joined" in frames.error


def matrix_work(rows, columns):
    a, b = Data.of_bytes(bytes(rows * 3)), Data.of_bytes(bytes(3 * columns))
    return MatrixWork(rows, 3, columns, a, b)


@pytest.mark.parametrize("n", [1, 2, 17, 257, 300])
@pytest.mark.parametrize("openings", [0, 1, 4, 1024])
def test_an_honest_answer_is_never_larger_than_allowed(n, openings):
    task = Task(bytes(range(32)), n)
    leaves = tuple(range(min(4, task.leaf_count)))
    with open_device("reference") as device:
        commitment = device.compute(task)
        proof = commitment.proof(min(openings, task.leaf_count))
        assert len(proof) <= answer_bytes(Work(1, task, openings))
        assert len(commitment.siblings(leaves)) <= answer_bytes(Open(1, leaves))
        synthetic = SyntheticWork(task, openings)
        works = [synthetic, matrix_work(n, 5)]
        for work in works:
            outcome = work.run(device)
            opening = work.opening(outcome.result_hash, range(min(4, work.leaf_count)))
            for piece, its_outcome in ((work, outcome), (opening, opening.run(device))):
                size = len(its_outcome.proof or "") + len(its_outcome.data or b"")
                assert size <= answer_bytes(Run(1, piece))
                assert answer_bytes(Run(1, piece)) <= 2**20


@given(st.text(max_size=3000))
def test_any_text_is_made_fit_for_a_message(text):
    message = Failed(None, "Error", one_line(text))
    assert decode_message(payload(message)) == message


@pytest.mark.slow
def test_a_child_that_says_malformed_things_is_replaced_each_time(open_pool, tmp_path):
    """One attack after the other by real children; then one that is honest does the job."""
    said = [
        {"seconds": NAN},
        {"seconds": -1.0},
        {"root": None},
        {"root": bytes(31)},
        {"proof": "0" * 3_000},
        {"ticket": 2**60},
        {"device": "cpu\x1b]0;mine\x07"},
        {"type": "Reboot"},
        {"more": 1},
    ]
    for number, change in enumerate(said):
        fields = plain(Computed(1, bytes(32), "01", "cpu", 0.5)) | change
        frame = msgspec.msgpack.encode(fields)
        (tmp_path / f"{number}.frame").write_bytes(struct.pack(">I", len(frame)) + frame)
    limits = Limits(restarts=100, attempts=100, backoff_most=0.0, slowest_rate=1e9, start=60.0)
    pool, log = open_pool(villains.malformed_child, limits=limits)
    computed = pool.submit(Task(bytes(range(32)), 64), openings=4).result(120)
    assert computed.seconds >= 0
    assert list(tmp_path.glob("*.frame")) == []
    reasons = log.reasons(ChildKilled)
    assert len(reasons) == len(said)
    assert sum("not a message" in reason for reason in reasons) == len(said) - 1
    assert pool.error is None


@pytest.mark.parametrize(
    "message",
    [plain(Computed(1, bytes(32), "01", "cpu", 0.5)) | {"seconds": NAN}, {"type": "Reboot"}, None],
)
def test_a_broken_message_within_an_event_is_an_error_of_its_frame(pipe, message):
    reader, writer = pipe
    heard = {"type": "Heard", "device": "rig/cpu", "generation": 1, "message": message}
    frame = msgspec.msgpack.encode(heard)
    frames = Frames(decode_event)
    write_frame(writer, bytes(encode(Joined("x"))) + struct.pack(">I", len(frame)) + frame)
    assert frames.read(reader) == [Joined("x")]
    assert frames.ended
    assert "not a message" in frames.error
