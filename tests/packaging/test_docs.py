"""The documentation: it builds without a warning, says what the commands say, and in both languages."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import reference

from engine.cli.app import program
from engine.cli.config.settings import read_settings

ROOT = Path(__file__).parents[2]


def test_the_site_builds_without_a_warning(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    pages = [page.read_text(encoding="utf-8") for page in tmp_path.rglob("*.html")]
    assert len(pages) > 5
    for page in pages:  # nothing that a reader's browser would fetch from another host
        assert re.findall(r"<(?:script|img|iframe)[^>]*\ssrc=\"(https?:[^\"]+)", page) == []
        sheets = re.findall(r"<link[^>]*rel=\"(?:stylesheet|preload)\"[^>]*>", page)
        assert [sheet for sheet in sheets if "http" in sheet] == []


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (reference.page, reference.PAGE),
        (reference.man, reference.MAN),
        (reference.configuration, reference.CONFIGURATION),
    ],
)
def test_the_reference_is_what_the_commands_say(make, path):
    assert path.read_text(encoding="utf-8") == make(program()), "make reference"


def test_the_example_of_the_configuration_is_a_valid_file(tmp_path):
    text = reference.CONFIGURATION.read_text(encoding="utf-8")
    (tmp_path / "engine.toml").write_text(text.partition("```toml\n")[2].partition("```")[0])
    found = read_settings(tmp_path / "engine.toml", program())
    assert found.of(("mine",))["tasks_per_block"] == "4"
    assert found.of(("tx", "send"))["gas_price"] == 1000


def shape(name):
    """Headings by depth, code blocks, and tables by rows and columns, in their order."""
    parts, code, table = [], None, None
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            if code is None:
                code = [line]
            else:
                parts.append(("code", *code))
                code = None
        elif code is not None:
            code.append(line.partition("#")[0].rstrip())  # comments are in the page's language
        elif line.startswith("#"):
            parts.append(("heading", len(line) - len(line.lstrip("#"))))
        elif line.startswith("|"):
            if table is None:
                table = []
                parts.append(("table", table))
            table.append(line.count("|"))
            continue
        elif found := re.findall(r"!\[[^\]]*\]\(([^)]+)\)", line):
            parts.append(("images", found))
        table = None
    return parts


@pytest.mark.parametrize(
    ("english", "russian"),
    [
        ("README.md", "README.ru.md"),
        *(
            (f"docs/{name}.md", f"docs/ru/{name}.md")
            for name in ("tutorial", "operate", "troubles")
        ),
    ],
)
def test_a_page_in_both_languages_is_the_same_page(english, russian):
    assert shape(english) == shape(russian)


def test_what_the_readme_names_is_there():
    for name in ("README.md", "README.ru.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
            if not target.startswith("http"):
                assert (ROOT / target).exists(), f"{name}: {target}"
        for command in re.findall(r"^cpc-engine ([a-z-]+)", text, re.M):
            assert command in program().commands, f"{name}: {command}"
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        for goal in re.findall(r"^make ([a-z-]+)", text, re.M):
            assert re.search(rf"^{goal}:", makefile, re.M), f"{name}: make {goal}"


def architecture():
    return (ROOT / "docs/architecture.md").read_text(encoding="utf-8")


def test_every_file_that_the_architecture_names_is_there():
    named = set(re.findall(r"`((?:engine|kernels|node_client|tests|docs)/[^`]*)`", architecture()))
    assert len(named) > 20
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_layers_of_the_architecture_are_those_that_import_linter_checks():
    section = architecture().partition("\n## Layers\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]*) \|", section, re.M)
    written = [set(re.findall(r"`([a-z_]+)`", cell)) for cell in cells]
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = config["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert written == [set(layer.split(" | ")) for layer in layers]


def test_the_messages_in_the_troubleshooting_table_are_those_of_the_program():
    sources = "".join(
        path.read_text(encoding="utf-8")
        for package in ("engine", "node_client")
        for path in (ROOT / package).rglob("*.py")
    )
    for name, heading in (
        ("README.md", "Troubleshooting"),
        ("README.ru.md", "Устранение неполадок"),
    ):
        text = (ROOT / name).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
        cells = re.findall(r"^\| (`[^|]*) \|", text.partition("\n## ")[0], re.M)
        messages = [message for cell in cells for message in re.findall(r"`([^`]+)`", cell)]
        assert len(messages) >= 3
        assert [message for message in messages if message not in sources] == []


def test_every_python_file_that_a_page_names_is_there():
    there = [
        f"/{path.relative_to(ROOT)}" for path in ROOT.rglob("*.py") if ".venv" not in path.parts
    ]
    pages = [*(ROOT / "docs").glob("*.md"), *ROOT.glob("README*.md"), ROOT / "CONTRIBUTING.md"]
    named = {
        (page.name, name)
        for page in pages
        for name in re.findall(r"`([\w/]+\.py)`", page.read_text(encoding="utf-8"))
    }
    assert len(named) > 20
    lost = [each for each in named if not any(path.endswith(f"/{each[1]}") for path in there)]
    assert sorted(lost) == []
