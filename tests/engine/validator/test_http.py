"""The market over HTTP: tokens, credit, limits, and what schemathesis makes of the whole.

The long form, against a validator that runs, is

    schemathesis --config-file tests/engine/validator/schemathesis.toml run \
        http://127.0.0.1:8080/openapi.json \
        -H "Authorization: Bearer cpc_..." --checks all --max-examples 500
"""

import asyncio
import hashlib
import json
from pathlib import Path

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import ignored_auth

from engine.receipts.document import faults_of, read_receipt
from engine.validator.http.bodies import BodyLimits
from engine.validator.http.handlers import HttpLimits
from engine.validator.http.routes import create_app
from engine.validator.service import Service
from tests.engine.validator.arena import NOON, RECEIPT_KEY, Arena, Worker
from tests.engine.validator.test_market import MATMUL, Bearer

HOUR = NOON + 3600
SYNTHETIC = {"seed": "00ff", "matrix_size": 64, "iterations": 1}
PLENTY = HttpLimits(posts_at_once=1e9, reads_at_once=1e9)


class Shop:
    """The application over an arena, with a customer whose name is alice."""

    def __init__(self, path, limits=PLENTY):
        self.arena = Arena(path)
        self.token = self.arena.store.customers.add("alice")
        self.arena.store.customers.deposit("alice", 10**20, "test")
        cache = self.arena.kinds._blobs
        service = Service(self.arena.market, None, cache, self.arena.store, self._report)
        service.perform = self.arena.perform  # its workers live in the arena
        self.app = create_app(service, self.arena.kinds, limits, run=self._run)
        self.http = TestClient(self.app)
        self.headers = {"authorization": f"Bearer {self.token}"}

    async def _run(self, stopping: asyncio.Event):
        await stopping.wait()

    def _report(self, event):
        pass

    def post(self, headers=None, **changes):
        task = {
            "challenge_type": "synthetic",
            "payload": SYNTHETIC,
            "reward": "10.0",
            "deadline": HOUR,
        }
        return self.http.post(
            "/tasks", json=task | changes, headers=self.headers if headers is None else headers
        )


@pytest.fixture
def shop(tmp_path):
    made = []

    def make(**more):
        made.append(Shop(tmp_path, **more))
        return made[-1]

    yield make
    for one in made:
        one.arena.close()


def test_a_task_from_post_to_result(shop):
    shop = shop()
    posted = shop.post()
    assert posted.status_code == 201
    assert set(posted.json()) == {"task_id", "status", "created_at"}
    assert posted.json()["status"] == "pending"
    where = posted.headers["location"]
    before = shop.http.get(where).json()
    assert before["result"] is None
    assert before["payload"] is None  # it is the customer's
    mine = shop.http.get(where, headers=shop.headers).json()
    assert mine["payload"]["seed"] == "00ff"
    assert shop.http.get("/account", headers=shop.headers).json()["credit"] == "90"

    worker = shop.arena.join()
    done = shop.http.get(where).json()
    assert done["status"] == "completed"
    assert done["reward"] == "10"
    assert done["result"]["worker_address"] == worker.key.address
    assert done["result"]["completed_at"] == NOON
    assert len(done["result"]["result_hash"]) == 64
    assert done["result"]["job_payload"]["seed"] != "00ff"
    assert shop.http.get(f"{where}/data", headers=shop.headers).status_code == 404


def test_a_result_shows_only_when_the_task_is_closed(shop):
    class Shy(Worker):
        def open(self, asked):
            return []

    shop = shop()
    shop.arena.join(Shy)
    posted = shop.post()
    task = shop.http.get(posted.headers["location"]).json()
    assert task["status"] == "in_progress"
    assert task["result"] is None
    (job,) = shop.arena.store.jobs.of_task(posted.json()["task_id"])
    committed = job.result_hash
    assert committed not in shop.http.get("/tasks").text


def test_tasks_are_listed_newest_first_filtered_and_in_pages(shop):
    shop = shop()
    ids = [shop.post(reward=str(n)).json()["task_id"] for n in range(1, 6)]
    page = shop.http.get("/tasks?status=&challenge_type=&limit=2&offset=1").json()
    assert [task["task_id"] for task in page["tasks"]] == [ids[3], ids[2]]
    assert (page["total"], page["limit"], page["offset"]) == (5, 2, 1)
    assert shop.http.get("/tasks").json()["limit"] == 20
    assert shop.http.get("/tasks?status=failed").json()["total"] == 0
    assert shop.http.get("/tasks?challenge_type=matmul").json()["total"] == 0
    for wrong in ("status=lost", "limit=0", "limit=101", "offset=-1", f"offset={2**70}"):
        assert shop.http.get(f"/tasks?{wrong}").status_code == 422


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"reward": "0"}, 422),
        ({"reward": "0.0000000000000000001"}, 422),
        ({"reward": 10}, 422),
        ({"reward": 10.5}, 422),
        ({"reward": "1e3"}, 422),
        ({"reward": "100.000000000000000001"}, 402),
        ({"deadline": NOON - 1}, 409),
        ({"deadline": 1e300}, 422),
        ({"deadline": "soon"}, 422),
        ({"payload": []}, 422),
        ({"payload": {"seed": "00ff"}}, 422),
        ({"payload": SYNTHETIC | {"matrix_size": 10**6}}, 422),
        ({"payload": SYNTHETIC | {"challenge_type": "matmul"}}, 422),
        ({"payload": SYNTHETIC | {"note": "\ud800"}}, 422),
        ({"challenge_type": "weather"}, 422),
        ({"tip": "1"}, 422),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_taken(shop, changes, status):
    shop = shop()
    answer = shop.http.post(
        "/tasks",
        content=json.dumps(
            {"challenge_type": "synthetic", "payload": SYNTHETIC, "reward": "1", "deadline": HOUR}
            | changes
        ),
        headers=shop.headers | {"content-type": "application/json"},
    )
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"]
    assert shop.arena.store.customers.credit("alice") == 10**20
    assert shop.http.get("/tasks").json()["total"] == 0


@pytest.mark.parametrize("body", ["{", '{"a": NaN}', "[" * 100_000, '"' + "x" * 100, ""])
def test_a_body_that_is_no_task(shop, body):
    answer = shop().http.post("/tasks", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 401, 422)


def test_nan_is_refused_wherever_it_stands(shop):
    shop = shop()
    for text in ('"deadline": NaN, "payload": {}', f'"deadline": {HOUR}, "payload": {{"x": NaN}}'):
        body = f'{{"challenge_type": "synthetic", "reward": "1", {text}}}'
        headers = shop.headers | {"content-type": "application/json"}
        assert shop.http.post("/tasks", content=body, headers=headers).status_code == 422


def test_a_payload_that_no_worker_would_take_is_not_taken(shop):
    deep = SYNTHETIC | {"note": json.loads("[" * 40 + "]" * 40)}
    wide = SYNTHETIC | {"note": [0] * 2**18}
    shop = shop()
    assert shop.post(payload=deep).status_code == 422
    assert shop.post(payload=wide).status_code == 422


def test_tokens(shop):
    shop = shop()
    for headers in ({}, {"authorization": "Bearer cpc_x"}, {"authorization": "Basic YTpi"}):
        answer = shop.post(headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert shop.token not in Path(shop.arena.store.database.path).read_bytes().decode("latin-1")
    new = shop.arena.store.customers.renew("alice")
    assert shop.post().status_code == 401
    assert shop.post(headers={"authorization": f"Bearer {new}"}).status_code == 201
    shop.arena.store.customers.revoke("alice")
    assert shop.post(headers={"authorization": f"Bearer {new}"}).status_code == 401


def test_another_customers_data_is_not_to_be_had(shop):
    shop = shop()
    where = shop.post().headers["location"]
    token = shop.arena.store.customers.add("bob")
    bob = {"authorization": f"Bearer {token}"}
    assert shop.http.get(f"{where}/data", headers=bob).status_code == 403
    assert shop.http.get(f"{where}/data").status_code == 401
    assert shop.http.get(f"{where}/data", headers=shop.headers).status_code == 409
    assert shop.http.get(where, headers=bob).json()["payload"] is None


def test_what_a_result_holds_is_its_customers_to_know(shop):
    class Honest(Bearer):
        def work(self, job):
            right = self.arena.kinds.job(job.payload).run(self.arena.device).result_hash.hex()
            return [self.result(job, right, None)]

    shop = shop()
    shop.arena.join(Honest)
    where = shop.post(challenge_type="matmul", payload=MATMUL).headers["location"]
    bob = {"authorization": f"Bearer {shop.arena.store.customers.add('bob')}"}
    mine = shop.http.get(where, headers=shop.headers).json()
    assert mine["status"] == "completed"
    assert mine["result"]["data"] == {"sha256": "cd" * 32, "size": 64 * 64 * 4}
    for path, headers in ((where, {}), (where, bob), ("/tasks", {}), ("/tasks", shop.headers)):
        assert "cd" * 32 not in shop.http.get(path, headers=headers).text


def test_too_much_is_refused_with_the_time_to_wait(shop):
    shop = shop(limits=HttpLimits(posts=0.5, posts_at_once=2, reads=0.5, reads_at_once=2))
    codes = [shop.post().status_code for _ in range(3)]
    assert codes == [201, 201, 429]
    assert int(shop.post().headers["retry-after"]) >= 1
    assert [shop.http.get("/tasks").status_code for _ in range(3)] == [200, 200, 429]
    # Who tries tokens out is metered as well.
    assert shop.post(headers={"authorization": "Bearer cpc_guess"}).status_code == 429


def test_bytes_are_metered_and_not_requests_alone(shop):
    shop = shop(limits=HttpLimits(bytes=1e-3, bytes_at_once=3000))
    long = SYNTHETIC | {"note": "x" * 2000}
    posted = shop.post(payload=long)
    assert posted.status_code == 201
    refused = shop.post(payload=long)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    where = posted.headers["location"]
    assert shop.http.get(where, headers=shop.headers).status_code == 429
    assert shop.http.get(where).status_code == 200  # without the payload


def test_values_are_metered_too(shop):
    shop = shop(limits=HttpLimits(values=1e-3, values_at_once=100))
    many = SYNTHETIC | {"note": [0] * 200}
    assert [shop.post(payload=many).status_code for _ in range(2)] == [201, 429]


def test_a_body_that_does_not_come_is_refused(shop):
    shop = shop(limits=HttpLimits(bodies=BodyLimits(seconds=0.05)))
    token = shop.headers["authorization"].encode()
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/tasks",
        "raw_path": b"/tasks",
        "query_string": b"",
        "headers": [(b"authorization", token), (b"content-length", b"100")],
        "client": ("192.0.2.1", 1),
    }
    said = []

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        said.append(message)

    asyncio.run(shop.app(scope, receive, send))
    assert said[0]["status"] == 408


def test_a_long_body_is_refused_before_it_is_in_memory(shop):
    shop = shop(limits=HttpLimits(body=1000, posts_at_once=100))
    assert shop.post(payload=SYNTHETIC | {"note": "x" * 2000}).status_code == 413

    def pieces():
        for _ in range(100):
            yield b" " * 100

    headers = shop.headers | {"content-type": "application/json"}
    assert shop.http.post("/tasks", content=pieces(), headers=headers).status_code == 413
    assert shop.post().status_code == 201


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer cpc_guess"}])
def test_a_strangers_body_is_cut_off_before_it_is_parsed(shop, headers):
    shop = shop()

    def pieces():
        for _ in range(1024):
            yield b"[" * 2**14

    json_headers = headers | {"content-type": "application/json"}
    long = b"[" * (2**16 + 1)
    for method, path in (("POST", "/tasks"), ("PUT", f"/blobs/{'ab' * 32}")):
        answer = shop.http.request(method, path, content=long, headers=json_headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "token" in answer.json()["detail"]
    assert shop.http.post("/tasks", content=pieces(), headers=json_headers).status_code == 401
    # What is short is parsed; a customer's may be long.
    assert shop.http.post("/tasks", content=long[:-1], headers=json_headers).status_code != 413
    assert shop.post(payload=SYNTHETIC | {"note": "x" * 2**17}).status_code == 201
    name = hashlib.sha256(long).hexdigest()
    assert shop.http.put(f"/blobs/{name}", content=long, headers=shop.headers).status_code == 200


def test_bytes_are_kept_under_their_own_name_only(shop):
    shop = shop()
    content = b"a model"
    name = hashlib.sha256(content).hexdigest()
    assert shop.http.put(f"/blobs/{name}", content=content).status_code == 401
    kept = shop.http.put(f"/blobs/{name}", content=content, headers=shop.headers)
    assert kept.json() == {"sha256": name, "size": 7}
    wrong = shop.http.put(f"/blobs/{name}", content=b"another", headers=shop.headers)
    assert wrong.status_code == 422
    missing = {
        "challenge_type": "matmul",
        "m": 1,
        "k": 1,
        "n": 1,
        "a": {"sha256": "ab" * 32, "size": 1},
        "b": {"inline": "AA=="},
    }
    answer = shop.post(challenge_type="matmul", payload=missing)
    assert answer.status_code == 409
    assert "PUT /blobs/abab" in answer.json()["detail"]


def test_no_path_has_a_method_that_it_does_not_name(shop):
    http = shop().http
    answer = http.request("DELETE", "/tasks")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"
    assert http.request("TRACE", "/tasks/x").headers["allow"] == "GET"


def test_schemathesis_finds_nothing(shop):
    """The small form: each operation, a handful of requests of every sort.

    Every check but `ignored_auth`, which here sends the token along; see `test_tokens` for that.
    """
    shop = shop()
    config = SchemathesisConfig.from_path(Path(__file__).with_name("schemathesis.toml"))
    schema = schemathesis.openapi.from_asgi("/openapi.json", shop.app, config=config)
    operations = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        operations += 1
        for mode in schemathesis.GenerationMode:

            @settings(
                max_examples=8,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def look(case):
                case.call_and_validate(headers=shop.headers, excluded_checks=[ignored_auth])

            look()
    assert operations == 7


def test_a_receipt_is_for_its_customer_once_the_task_is_closed(shop):
    shop = shop()
    where = shop.post().headers["location"] + "/receipt"
    assert shop.http.get(where).status_code == 401
    assert shop.http.get(where, headers=shop.headers).status_code == 409
    shop.arena.join()
    bob = shop.arena.store.customers.add("bob")
    assert shop.http.get(where, headers={"authorization": f"Bearer {bob}"}).status_code == 403
    receipt = shop.http.get(where, headers=shop.headers)
    assert receipt.status_code == 200
    assert faults_of(read_receipt(receipt.content), RECEIPT_KEY.address) == []
    assert shop.http.get("/tasks/1/receipt", headers=shop.headers).status_code == 404
