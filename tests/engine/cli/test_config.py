"""The configuration: which value stands over which, where it came from, and what is refused."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from engine.cli.app import program
from engine.cli.config import settings
from engine.cli.config.command_tree import key_of, options_of, variable_of, walk
from engine.runtime.errors import BadInput


@pytest.fixture
def file(home):
    path = home / ".computechain" / "engine.toml"
    path.parent.mkdir()
    return path


def shown(cli, line="config show"):
    outcome = cli(f"{line} --json")
    assert outcome.code == 0, outcome
    return outcome.json()["settings"]


def test_the_command_line_stands_over_environment_file_and_default(cli, file, monkeypatch):
    assert shown(cli)["openings"] == {"value": 16, "source": "default", "place": ""}
    file.write_text("[mine]\nopenings = 5\n")
    assert shown(cli)["openings"] == {"value": 5, "source": "file", "place": str(file)}
    monkeypatch.setenv("CPC_MINE_OPENINGS", "6")
    from_environment = {"value": 6, "source": "environment", "place": "CPC_MINE_OPENINGS"}
    assert shown(cli)["openings"] == from_environment
    typed = shown(cli, "config show mine --openings 7")["openings"]
    assert typed == {"value": 7, "source": "command line", "place": ""}


def test_what_is_shown_is_what_a_command_takes(cli, file, monkeypatch):
    file.write_text("[mine]\nopenings = 2000\n")
    refused = cli("mine --devnet")
    assert refused.code == 2
    assert "leaves, not 2000" in refused.err
    monkeypatch.setenv("CPC_MINE_OPENINGS", "3000")
    assert "leaves, not 3000" in cli("mine --devnet").err
    assert "leaves, not 4000" in cli("mine --devnet --openings 4000").err


def test_a_value_on_top_is_every_command_s_and_a_table_s_stands_over_it(cli, file):
    file.write_text('from = "shared"\n[tx]\nfrom = "payer"\n[tx.send]\nfrom = "sender"\n')
    assert shown(cli, "config show mine")["from"]["value"] == "shared"
    assert shown(cli, "config show tx submit-result")["from"]["value"] == "payer"
    assert shown(cli, "config show tx send")["from"]["value"] == "sender"
    assert "no key 'sender'" in cli("tx send cpc1ce0nn835fsmg45evmeefnpfufkv8shh6z9adsj 1").err


def test_node_from_each_origin(cli, file, monkeypatch):
    file.write_text('node = ["http://127.0.0.1:1", "http://127.0.0.1:2"]\n')
    assert "127.0.0.1:2" in cli("query status").err  # the last one that was tried
    monkeypatch.setenv("CPC_NODE", "http://127.0.0.1:3,http://127.0.0.1:4")
    assert "127.0.0.1:4" in cli("query status").err
    assert "127.0.0.1:5" in cli("--node http://127.0.0.1:5 query status").err
    assert (
        "127.0.0.1:6" in cli("--node http://127.0.0.1:5 query status --node http://127.0.0.1:6").err
    )


def test_another_file_is_named_before_or_after_the_command_or_in_the_environment(
    cli, home, monkeypatch
):
    for name in ("a", "b", "c"):
        (home / f"{name}.toml").write_text(f'[mine]\nfrom = "{name}"\n')
    monkeypatch.setenv("CPC_CONFIG", str(home / "a.toml"))
    assert shown(cli)["from"]["value"] == "a"
    assert shown(cli, f"--config {home}/b.toml config show")["from"]["value"] == "b"
    assert "no key 'c'" in cli(f"--config {home}/b.toml mine --config {home}/c.toml").err
    missing = cli(f"mine --config {home}/nowhere.toml")
    assert missing.code == 2
    assert "nowhere.toml" in missing.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[mine]\n\ntask-per-block = 3", "line 3: mine.task-per-block: there is no such setting"),
        ("[mine]\ntask-per-block = 3", "Did you mean tasks-per-block?"),
        ("[mein]\nsize = 3", "Did you mean mine?"),
        ("[mine]\nsize = 'big'", "line 2: mine.size: must be a whole number"),
        ("[mine]\nsize = true", "mine.size: must be a whole number"),
        ("[mine]\ndevnet = 1", "mine.devnet: must be true or false"),
        ("[mine]\nfrom = 1", "mine.from: must be text"),
        ("[mine]\ndevice = ['cpu', 1]", "mine.device: must be text"),
        ("[mine]\nblock-time = '1'", "mine.block-time: must be a number"),
        ("[mine]\nblocks = 0", "line 2: mine.blocks: "),
        ("[tx.send]\ngas-price = 1.5", "line 2: tx.send.gas-price: must be a whole number"),
        ("mine = 3", "line 1: mine: is a table"),
        ("size = \nfrom = 'x'", "not valid TOML: Invalid value (at line 1"),
        ("size = 1\nsize = 2", "TOML"),
        ("install-completion = true", "there is no such setting"),
        ("lang = 'ru'", "there is no such setting"),
    ],
)
def test_a_wrong_file_gets_one_sentence_with_its_place(cli, file, text, says):
    file.write_text(text)
    for command in ("mine --blocks 1", "config show", "keys list"):
        outcome = cli(command)
        assert outcome.code == 2
        assert says in outcome.err
        assert str(file) in outcome.err
        assert outcome.out == ""
    assert cli("--help").code == 0
    assert cli("mine --help").code == 0


@pytest.mark.parametrize("key", ["passphrase", "private-key", "http-token", "secret"])
def test_a_secret_in_the_file_is_refused_and_not_repeated(cli, file, key):
    file.write_text(f"[mine]\n{key} = 'hunter2'\n")
    outcome = cli("mine")
    assert outcome.code == 2
    assert "No secret" in outcome.err
    assert "hunter2" not in outcome.err


def test_no_option_takes_a_secret_itself():
    for path, command in walk(program()):
        for option in options_of(command):
            key = key_of(option)
            assert not settings._SECRET.search(key) or key.endswith("-file"), (*path, key)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"#" * (1 << 20) + b"\n#"])
def test_a_file_that_is_none(cli, file, content):
    file.write_bytes(content)
    assert cli("config show").code == 2
    file.unlink()
    file.mkdir()
    assert cli("config show").code == 2


def test_a_password_in_a_url_is_not_shown(cli, file):
    file.write_text("node = 'http://me:hunter2@example.org'")
    assert "hunter2" not in cli("config show").out
    assert "example.org" in cli("config show").out


def test_every_option_can_be_set_and_no_two_by_one_variable():
    variables = {}
    for path, command in walk(program()):
        for option in options_of(command):
            variable = variable_of(option)
            assert variable.startswith("CPC_"), (*path, key_of(option))
            assert variables.setdefault(variable, key_of(option)) == key_of(option)


_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_NAMES = st.sampled_from(["mine", "tx", "send", "size", "node", "json", "from", "devnet"]) | _TEXT


def complaint(call, *arguments):
    try:
        call(*arguments)
    except BadInput as error:
        return str(error)
    return None


@hypothesis_settings(deadline=None)  # the first value of a type imports its converter
@given(document=st.dictionaries(_NAMES, _VALUES | st.dictionaries(_NAMES, _VALUES, max_size=3)))
def test_whatever_a_document_holds_is_taken_or_refused_with_a_sentence(document):
    """Also what no TOML can hold, such as None: the reader trusts nobody."""
    reader = settings._Reader("engine.toml", "")
    said = complaint(reader.take, document, program(), ())
    assert said is None or said.startswith("engine.toml")


@given(raw=st.text(max_size=60))
def test_whatever_a_file_holds(raw, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "engine.toml"
    path.write_text(raw, encoding="utf-8", newline="")
    said = complaint(settings.read_settings, path, program())
    if said is None:
        tomllib.loads(raw)
    else:
        assert said.startswith(str(path))
