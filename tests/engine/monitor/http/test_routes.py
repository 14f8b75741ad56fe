"""The routes over a real port."""

import http.server
import json
import math
import re
import threading
from pathlib import Path

import pytest
import requests
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse

from engine.monitor.events.run import Pulse
from engine.monitor.events.sending import BalanceLasts
from engine.monitor.events.trouble import MEANING, TroubleBegan
from engine.monitor.http.health import PULSE_SECONDS, health
from engine.monitor.http.metrics import Metrics
from engine.monitor.projection import Projection
from engine.monitor.snapshot import Snapshot
from engine.monitor.state import Monitor
from tests.engine.monitor import story
from tests.engine.monitor.http.served import served
from tests.processes import PATIENCE_SECONDS

ROOT = Path(__file__).parents[4]
TOKEN = "a-token-of-some-length"


@pytest.fixture
def board():
    board = Monitor(clock=lambda: story.START)
    for event in [*story.two_cards(), Pulse(), BalanceLasts(10**6)]:
        board(event)
    return board


@pytest.fixture
def families(board):
    registry = CollectorRegistry()
    registry.register(Metrics(board))
    return {family.name: family for family in parse(generate_latest(registry).decode())}


def value(families, name, **labels):
    samples = [sample for family in families.values() for sample in family.samples]
    (found,) = (s.value for s in samples if s.name == name and s.labels == labels)
    return found


def test_what_the_metrics_say(families):
    assert value(families, "cpc_engine_results_total", outcome="confirmed") == 6
    assert value(families, "cpc_engine_ledger_results", state="confirmed") == 1240
    assert value(families, "cpc_engine_device_tasks_total", device="cuda:0") == 6
    operations = value(families, "cpc_engine_device_operations_total", device="cuda:0")
    seconds = value(families, "cpc_engine_device_compute_seconds_total", device="cuda:0")
    assert operations / seconds == pytest.approx(2 * 4096**3 / 0.0125)
    assert value(families, "cpc_engine_device_temperature_celsius", device="cuda:1") == 90
    assert value(families, "cpc_engine_device_state", device="cuda:1", state="paused") == 1
    assert value(families, "cpc_engine_device_state", device="cuda:1", state="out") == 0
    assert value(families, "cpc_engine_result_latency_seconds_bucket", le="0.05") == 6
    assert value(families, "cpc_engine_balance_cpc") == pytest.approx(99.999916)
    assert value(families, "cpc_engine_healthy") == 1
    assert "cpc_engine_device_fan_speed_ratio" not in families  # no card says it


def test_names_units_and_help_follow_the_conventions(families):
    """What `promtool check metrics` looks at, besides that the text can be parsed."""
    for family in families.values():
        assert re.fullmatch(r"cpc_engine(_[a-z]+)+", family.name), family.name
        assert family.documentation.endswith("."), family.name
        assert not re.search(r"_(milliseconds|minutes|kilobytes|percent|count)\b", family.name)
        for sample in family.samples:
            assert math.isfinite(sample.value)
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name
    assert {family.type for family in families.values()} == {"counter", "gauge", "histogram"}


def test_every_metric_is_in_the_docs(families):
    text = (ROOT / "docs/metrics.md").read_text("utf-8")
    told = set(re.findall(r"`(cpc_engine_[a-z_]+)", text))
    sensors = {"cpc_engine_device_power_limit_watts", "cpc_engine_device_fan_speed_ratio"}
    sensors |= {"cpc_engine_device_clock_hertz"}
    sensors |= {"cpc_engine_device_utilization_ratio", "cpc_engine_device_energy_joules_total"}
    served = {
        family.name + ("_total" if family.type == "counter" else "") for family in families.values()
    }
    assert served | sensors == told


def test_every_kind_of_trouble_is_in_the_docs_with_what_healthz_says():
    text = (ROOT / "docs/troubles.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", text, re.MULTILINE)
    assert {kind: said for kind, said in rows if kind in MEANING} == MEANING


def test_status_history_and_metrics_over_a_port(board):
    with served(board) as (url, _):
        answer = requests.get(f"{url}/status", timeout=PATIENCE_SECONDS)
        assert Snapshot.model_validate(answer.json()) == board.snapshot()
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert requests.get(f"{url}/history", timeout=PATIENCE_SECONDS).json()["step"] == 10
        plain = requests.get(f"{url}/metrics", timeout=PATIENCE_SECONDS)
        assert plain.headers["Content-Type"].startswith("text/plain; version=")
        assert list(parse(plain.text))
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        assert list(
            parse_open(
                requests.get(f"{url}/metrics", headers=accept, timeout=PATIENCE_SECONDS).text
            )
        )
        schema = requests.get(f"{url}/openapi.json", timeout=PATIENCE_SECONDS).json()
        assert set(schema["paths"]) == {
            "/status",
            "/history",
            "/healthz",
            "/metrics",
            "/pause",
            "/resume",
        }
        assert requests.get(f"{url}/nothing", timeout=PATIENCE_SECONDS).status_code == 404
        assert requests.get(f"{url}/../setup.py", timeout=PATIENCE_SECONDS).status_code == 404


def test_pause_and_resume(board):
    with served(board, TOKEN) as (url, orders):
        ours = {"X-CPC-Engine": "1"}
        assert (
            requests.post(f"{url}/pause", headers=ours, timeout=PATIENCE_SECONDS).status_code == 401
        )
        ours |= {"Authorization": f"Bearer {TOKEN}"}
        assert requests.post(f"{url}/pause", headers=ours, timeout=PATIENCE_SECONDS).json() == {
            "asked": "pause"
        }
        assert board.snapshot().pause_asked
        assert (
            requests.post(f"{url}/resume", headers=ours, timeout=PATIENCE_SECONDS).status_code
            == 202
        )
        assert (
            requests.get(f"{url}/pause", headers=ours, timeout=PATIENCE_SECONDS).status_code == 404
        )
        assert orders.given == ["pause", "resume"]


def test_health():
    projection = story.tell(Projection(story.START), [*story.two_cards(), Pulse()])
    assert health(projection.snapshot(story.START + 1)).healthy
    stuck = health(projection.snapshot(story.START + PULSE_SECONDS + 1))
    assert stuck.reasons == ["the mining loop has made no progress for 16 s"]
    out = [story.device(name, "out", "Xid 79") for name in ("cuda:0", "cuda:1")]
    story.tell(projection, [*out, TroubleBegan("node_away", "refused", "", True)])
    assert health(projection.snapshot(story.START)).reasons == [
        "no device is in service",
        "the node does not answer",
    ]


def test_healthz_answers_503_where_something_is_wrong(board):
    with served(board, TOKEN) as (url, _):
        assert requests.get(f"{url}/healthz", timeout=PATIENCE_SECONDS).status_code == 200
        board(TroubleBegan("node_away", "connection refused by 10.0.0.7", "", True))
        answer = requests.get(f"{url}/healthz", timeout=PATIENCE_SECONDS)
        assert answer.status_code == 503
        reasons = ["the node does not answer"]
        assert answer.json() == {"healthy": False, "reasons": reasons, "warnings": []}


@pytest.mark.parametrize("path", ["/healthz", "/status", "/metrics", "/", "/page.js", "/nothing"])
def test_head_answers_as_get_without_the_body(board, path):
    with served(board) as (url, _):
        got = requests.get(f"{url}{path}", timeout=PATIENCE_SECONDS)
        head = requests.head(f"{url}{path}", timeout=PATIENCE_SECONDS)
        assert head.status_code == got.status_code
        assert head.content == b""
        for name in ("Content-Type", "Cache-Control", "X-Content-Type-Options"):
            assert head.headers[name] == got.headers[name]
        board(TroubleBegan("node_away", "gone", "", True))
        assert requests.head(f"{url}/healthz", timeout=PATIENCE_SECONDS).status_code == 503


class Reverse(http.server.BaseHTTPRequestHandler):
    """What nginx does by `proxy_pass`: a Host of its own, and everything else as it came."""

    def do_POST(self):
        headers = {name: value for name, value in self.headers.items() if name != "Host"}
        got = requests.post(
            self.server.to + self.path, headers=headers, timeout=PATIENCE_SECONDS, data=b""
        )
        self.send_response(got.status_code)
        self.send_header("Content-Length", str(len(got.content)))
        self.end_headers()
        self.wfile.write(got.content)

    def log_message(self, *_):
        return


def test_a_post_through_a_reverse_proxy(board):
    with (
        served(board, TOKEN) as (url, orders),
        http.server.HTTPServer(("127.0.0.1", 0), Reverse) as proxy,
    ):
        proxy.to = url
        threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
        front = f"http://127.0.0.1:{proxy.server_port}"
        headers = {"Origin": "https://rig.example", "Host": "rig.example"}
        for given, status in (({}, 401), ({"Authorization": f"bearer {TOKEN}"}, 202)):
            got = requests.post(f"{front}/pause", headers=headers | given, timeout=PATIENCE_SECONDS)
            assert got.status_code == status
        assert orders.given == ["pause"]
        proxy.shutdown()


def test_the_dashboard_asks_for_metrics_that_there_are(families):
    dashboard = json.loads((ROOT / "packaging/grafana/cpc-engine.json").read_text("utf-8"))
    served = {sample.name for family in families.values() for sample in family.samples}
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            asked = set(re.findall(r"cpc_engine_[a-z_]+", target["expr"]))
            assert asked, panel["title"]
            assert asked <= served, panel["title"]
