"""The container's file and the examples in docs/operate.md say what the program takes."""

import json
import re
from pathlib import Path

import pytest
import yaml

from engine.cli.app import run

ROOT = Path(__file__).parents[2]
FILE = (ROOT / "packaging/container/Containerfile").read_text("utf-8")
GUIDE = (ROOT / "docs/operate.md").read_text("utf-8")


def last(instruction):
    return json.loads(re.findall(rf"^{instruction} (\[.*\])$", FILE, re.M)[-1])


def takes(capsys, arguments):
    """Whether the program takes these options; it is asked what it would do."""
    code = run(["config", "show", *arguments, "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert code == 0
    return {name: one["value"] for name, one in shown["settings"].items()}


def test_it_has_an_init_and_runs_as_nobody_special():
    assert last("ENTRYPOINT")[:2] == ["tini", "--"]
    final = FILE.rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.*)$", final, re.M) == ["1000:1000"]
    for variable in ("HOME", "CPC_KEYS", "CPC_STATE", "CPC_CACHE"):
        (place,) = re.findall(rf"\b{variable}=(\S+)", final)
        assert place.startswith("/var/lib/cpc-engine")


def test_its_health_check_asks_where_it_listens(capsys):
    shown = takes(capsys, last("CMD"))
    assert shown["plain"] is True
    assert f"http://{shown['http']}/healthz" in FILE


def test_the_kubernetes_example_is_what_the_program_takes(capsys):
    (text,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.S)
    pod = yaml.safe_load(text)["spec"]["template"]["spec"]
    (engine,) = pod["containers"]
    shown = takes(capsys, engine["args"])
    assert shown["log-format"] == "json"
    assert shown["http-token-file"].startswith("/keys/")
    port = int(shown["http"].rpartition(":")[2])
    assert engine["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": port}
    assert engine["securityContext"]["readOnlyRootFilesystem"]
    (keys,) = (one for one in pod["volumes"] if one["name"] == "keys")
    assert keys["secret"]["defaultMode"] == 0o440  # not 440


@pytest.mark.parametrize("command", re.findall(r"cpc-engine (mine [^`\n]*--\S[^`\n]*)", GUIDE))
def test_other_examples(capsys, command):
    assert takes(capsys, command.split("#")[0].split())
