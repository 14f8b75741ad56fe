"""The shells' completion, asked as a shell asks it."""

import os
import subprocess
import sys

import pytest

from node_client.keystore import Keystore
from tests.processes import PATIENCE_SECONDS
from tests.variants import quick_and_slow

ENGINE = [sys.executable, "-c", "from engine.cli import main; main()"]


def ask(shell, words, tmp_path):
    environment = os.environ | {"HOME": str(tmp_path), "_CPC_ENGINE_COMPLETE": f"complete_{shell}"}
    typed = " ".join(words)
    if shell == "bash":
        environment |= {"COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    else:
        environment |= {"_TYPER_COMPLETE_ARGS": typed, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = subprocess.run(
        ENGINE, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", quick_and_slow(["bash"], ["zsh", "fish"]))
def test_commands_are_completed(shell, tmp_path):
    offered = ask(shell, ["cpc-engine", "do"], tmp_path)
    assert "doctor" in offered
    assert "mine" not in offered


@pytest.mark.slow
def test_options_are_completed(tmp_path):
    assert "--tasks-per-block" in ask("bash", ["cpc-engine", "mine", "--task"], tmp_path)


@pytest.mark.parametrize("shell", quick_and_slow(["bash"], ["zsh", "fish"]))
def test_the_script_for_a_shell_is_shown(shell, tmp_path):
    done = subprocess.run(
        [*ENGINE, "--show-completion", shell],
        env=os.environ
        | {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert "_CPC_ENGINE_COMPLETE" in done.stdout, done


@pytest.mark.parametrize(
    ("words", "offered"),
    quick_and_slow(
        [(["mine", "--from", "wor"], "worker7")],
        [
            (["bench", "--tier", "avx5"], "avx512vnni"),
            (["mine", "--device", "re"], "reference"),
            (["keys", "show", "wor"], "worker7"),
            (["query", "balance", "wor"], "worker7"),
            (["work", "--job-kind", "mat"], "matmul"),
        ],
    ),
)
def test_values_are_completed(words, offered, tmp_path, monkeypatch):
    monkeypatch.setenv("CPC_KEYS", str(tmp_path / "keys"))
    Keystore().create("worker7")
    assert offered in ask("bash", ["cpc-engine", *words], tmp_path)


def test_where_nothing_can_be_found_nothing_is_said(tmp_path, monkeypatch):
    (tmp_path / "keys").write_text("a file, no directory")
    monkeypatch.setenv("CPC_KEYS", str(tmp_path / "keys"))
    assert ask("bash", ["cpc-engine", "mine", "--from", "wor"], tmp_path).strip() == ""
