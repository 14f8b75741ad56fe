"""The cache of data: nothing counts before its hash was checked, and it stays within its bounds."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.jobs.blobs import (
    CARRIED_BYTES,
    BlobCache,
    BlobRef,
    CacheFull,
    MissingBlob,
    NoBlobs,
    WrongBlob,
)
from engine.runtime.errors import BadInput

SHARED = settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def files(tmp_path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "blobs").iterdir())


@SHARED
@given(content=st.binary(max_size=200), cut=st.integers(1, 60))
def test_chunks_in_order(cache, tmp_path, content, cut):
    ref = BlobRef.of(content)
    receiving = cache.receive(ref)
    while not receiving.complete:
        assert ref.sha256 not in files(tmp_path) or content == b""
        offset = receiving.next_offset
        receiving.add(offset, content[offset : offset + cut])
    assert cache.has(ref)
    assert cache.data(ref).read() == content
    assert cache.read(ref, 0, 300) == content
    assert cache.read(ref, 5, 7) == content[5:12]
    (tmp_path / "blobs" / ref.sha256).unlink()


@SHARED
@given(content=st.binary(min_size=2, max_size=50), data=st.data())
def test_whatever_is_wrong_ends_it(cache, tmp_path, content, data):
    ref = BlobRef.of(content)
    offset, chunk = data.draw(
        st.sampled_from(
            [
                (0, content[:-1] + bytes([content[-1] ^ 1])),
                (0, content + b"x"),
                (0, b""),
                (1, content[1:]),
                (-1, content),
            ]
        )
    )
    receiving = cache.receive(ref)
    with pytest.raises(WrongBlob):
        receiving.add(offset, chunk)
    with pytest.raises(WrongBlob):
        receiving.add(0, content)
    assert not receiving.complete
    assert not cache.has(ref)
    assert files(tmp_path) == []
    with pytest.raises(MissingBlob) as missing:
        cache.data(ref)
    assert missing.value.ref == ref


def test_room_is_made_by_the_longest_unused(tmp_path):
    cache = BlobCache(tmp_path / "blobs", max_bytes=1000)
    refs = [cache.put(bytes([i]) * 300) for i in range(3)]
    for age, ref in enumerate(refs):
        os.utime(tmp_path / "blobs" / ref.sha256, (age, age))
    cache.put(bytes([0]) * 300)  # known: touched, not written again
    newest = cache.put(b"n" * 300)
    assert [cache.has(ref) for ref in (*refs, newest)] == [True, False, True, True]


def test_nothing_in_use_is_thrown_out(tmp_path):
    cache = BlobCache(tmp_path / "blobs", max_bytes=1000)
    ref = cache.put(b"a" * 600)
    with cache.holding([ref]), cache.holding([ref]):
        with pytest.raises(CacheFull):
            cache.put(b"b" * 600)
        with pytest.raises(CacheFull):
            cache.receive(BlobRef("0" * 64, 401))
    assert cache.has(ref)
    cache.put(b"b" * 600)
    assert not cache.has(ref)


def test_what_is_on_its_way_counts(tmp_path):
    cache = BlobCache(tmp_path / "blobs", max_bytes=1000)
    first = cache.receive(BlobRef.of(b"a" * 700))
    with pytest.raises(CacheFull):
        cache.receive(BlobRef.of(b"b" * 400))
    first.abandon()
    first.abandon()
    cache.receive(BlobRef.of(b"b" * 400)).add(0, b"b" * 400)
    with pytest.raises(CacheFull):
        cache.put(b"c" * 1001)


def test_a_restart_clears_what_was_on_its_way(tmp_path):
    cache = BlobCache(tmp_path / "blobs", max_bytes=1000)
    ref = cache.put(b"kept")
    cache.receive(BlobRef.of(b"a" * 700)).add(0, b"aaa")
    assert len(files(tmp_path)) == 2
    again = BlobCache(tmp_path / "blobs", max_bytes=1000)
    assert files(tmp_path) == [ref.sha256]
    assert again.has(ref)


def test_small_data_is_carried_and_large_data_named(tmp_path):
    cache = BlobCache(tmp_path / "blobs", max_bytes=1 << 20)
    small, large = cache.put(b"s" * CARRIED_BYTES), cache.put(b"l" * (CARRIED_BYTES + 1))
    assert cache.data(small).content == b"s" * CARRIED_BYTES
    assert cache.data(large).content is None
    assert cache.data(large).read() == b"l" * (CARRIED_BYTES + 1)


def test_names_that_are_none_and_places_that_are_none(tmp_path):
    for digits, size in (("A" * 64, 1), ("../" * 20, 1), ("0" * 63, 1), (5, 1)):
        with pytest.raises(BadInput):
            BlobRef(digits, size)
    for size in (-1, True, 1.0, 1 << 53, None):
        with pytest.raises(BadInput):
            BlobRef("0" * 64, size)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be used"):
        BlobCache(tmp_path / "file", 10)
    with pytest.raises(MissingBlob):
        NoBlobs().data(BlobRef("0" * 64, 1))
