"""The table of receipts, in SQLite and in PostgreSQL: written with what it is of, or not at all."""

from contextlib import suppress

import pytest

from engine.receipts.document import faults_of, read_receipt
from engine.runtime.errors import DatabaseError
from engine.validator.store.database import Store
from tests.engine.receipts.market import Computer, inference
from tests.engine.validator.arena import RECEIPT_KEY

TEXT = b'{"body":{"note":"%\\u0000 \'; DROP TABLE receipts; --"},"signature":"00"}'
LARGE = b'{"layers":"' + b"f" * 2**19 + b'"}'


@pytest.mark.parametrize("payload", [None, inference(layers=True)])
def test_the_receipt_of_a_task_is_what_another_process_reads(arena, place, payload):
    one = arena()
    one.join(Computer)
    task_id = one.post(payload)
    kept = one.store.receipts.find(task_id)
    assert faults_of(read_receipt(kept), RECEIPT_KEY.address) == []
    assert one.store.receipts.find("another") is None
    one.close()
    with Store.open(place) as again:
        assert again.receipts.find(task_id) == kept


def test_any_text_comes_back_to_the_byte(arena):
    one = arena()
    tasks = one.post(), one.post()
    with one.store.database.write():
        for task_id, content in zip(tasks, (TEXT, LARGE), strict=True):
            one.store.receipts.keep(task_id, content)
        assert one.store.receipts.find(tasks[0]) == TEXT
    assert [one.store.receipts.find(task_id) for task_id in tasks] == [TEXT, LARGE]


def test_a_unit_that_is_undone_leaves_none(arena):
    one = arena()
    task_id = one.post()
    with suppress(ZeroDivisionError), one.store.database.write():
        one.store.receipts.keep(task_id, TEXT)
        assert one.store.receipts.find(task_id) == TEXT
        raise ZeroDivisionError
    assert one.store.receipts.find(task_id) is None


@pytest.mark.parametrize("wrong", ["twice", "of no task"])
def test_one_receipt_a_task_and_none_without_one(arena, wrong):
    one = arena()
    task_id = one.post()
    with one.store.database.write():
        one.store.receipts.keep(task_id, TEXT)
    with pytest.raises(DatabaseError), one.store.database.write():
        one.store.receipts.keep(task_id if wrong == "twice" else "none", LARGE)
    assert one.store.receipts.find(task_id) == TEXT
    assert one.store.receipts.find("none") is None


def test_a_database_of_a_version_without_receipts_gets_the_table(arena, place):
    one = arena()
    one.join(Computer)
    task_id = one.post()
    with one.store.database.write() as db:
        db.execute("DROP TABLE receipts")
    one.close()
    with Store.open(place) as again:
        assert again.receipts.find(task_id) is None
    one = arena()
    one.join(Computer)
    after = one.post()
    assert faults_of(read_receipt(one.store.receipts.find(after)), RECEIPT_KEY.address) == []
