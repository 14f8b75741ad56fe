"""Who is let in: decided for every request before the application sees it."""

import pytest

from engine.monitor.http.auth import refusal_of
from engine.monitor.http.server import check_token, parse_address
from engine.runtime.errors import BadInput

TOKEN = "0123456789abcdef"
OURS = {"host": "127.0.0.1:9180", "x-cpc-engine": "1"}


@pytest.mark.parametrize("host", ["127.0.0.1:9180", "localhost", "LOCALHOST:1", "[::1]:9180"])
def test_names_of_this_machine_are_answered_to(host):
    assert refusal_of("GET", "/status", {"host": host}, None) is None


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:9180", "evil@127.0.0.2", "", "[", "0.0.0.0"]
)
@pytest.mark.parametrize("path", ["/", "/status", "/healthz"])
def test_a_name_that_was_rebound_is_not(host, path):
    refusal = refusal_of("GET", path, {"host": host}, None)
    assert refusal is not None
    assert refusal.status == 421


@pytest.mark.parametrize(
    "extra",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9181"},
        {"origin": "http://localhost:9180"},
        {"origin": ""},
    ],
)
def test_another_sites_page_may_not_post(extra):
    refusal = refusal_of("POST", "/pause", OURS | extra, None)
    assert refusal is not None
    assert refusal.status == 403


def test_a_plain_form_may_not_post():
    """A browser that says no Origin still cannot add a header to a form's request."""
    assert refusal_of("POST", "/pause", {"host": OURS["host"]}, None).status == 403
    assert refusal_of("POST", "/pause", OURS | {"origin": "http://127.0.0.1:9180"}, None) is None


@pytest.mark.parametrize("path", ["/status", "/history", "/metrics", "/openapi.json", "/x"])
@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"]
)
def test_without_the_token_nothing_is_told(path, given):
    headers = {"host": "rig.lan:9180"} | ({} if given is None else {"authorization": given})
    assert refusal_of("GET", path, headers, TOKEN).status == 401


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer ", " bearer"])
def test_the_scheme_is_read_in_either_case(scheme):
    headers = {"host": "rig.lan", "authorization": f"{scheme} {TOKEN}"}
    assert refusal_of("GET", "/status", headers, TOKEN) is None


@pytest.mark.parametrize("host", ["127.0.0.1:9180", "rig.example"])
def test_a_post_through_a_reverse_proxy_needs_the_token_alone(host):
    """A proxy gives its own Host, and the browser the Origin that it sees."""
    headers = {"host": host, "origin": "https://rig.example", "x-forwarded-proto": "https"}
    right = headers | {"authorization": f"bearer {TOKEN}"}
    assert refusal_of("POST", "/pause", right, TOKEN) is None
    wrong = headers | {"authorization": f"bearer {TOKEN[::-1]}"}
    assert refusal_of("POST", "/pause", wrong, TOKEN).status == 401
    assert refusal_of("POST", "/pause", headers, TOKEN).status == 401
    local = headers | {"host": "127.0.0.1:9180", "x-cpc-engine": "1"}
    refusal = refusal_of("POST", "/pause", local, None)
    assert refusal.status == 403
    assert "--http-token-file" in refusal.detail


def test_the_token_opens_and_the_page_itself_is_open():
    headers = OURS | {"host": "rig.lan:9180", "authorization": f"Bearer {TOKEN}"}
    assert refusal_of("GET", "/status", headers, TOKEN) is None
    assert refusal_of("POST", "/pause", headers, TOKEN) is None
    for path in ("/", "/page.js", "/healthz"):
        assert refusal_of("GET", path, {"host": "rig.lan"}, TOKEN) is None
    assert refusal_of("POST", "/pause", OURS, TOKEN).status == 401
    assert refusal_of("POST", "/pause", OURS | {"origin": "http://x"}, TOKEN).status == 401


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9180", ("127.0.0.1", 9180)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:80", ("localhost", 80)),
        (" 0.0.0.0:9180 ", ("0.0.0.0", 9180)),
    ],
)
def test_addresses(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "9180", "127.0.0.1", "x:1", "127.0.0.1:x", "127.0.0.1:65536"])
def test_what_is_no_address(text):
    with pytest.raises(BadInput) as caught:
        parse_address(text)
    assert "127.0.0.1:9180" in caught.value.advice


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::"])
def test_beyond_this_machine_a_token_is_needed(host):
    with pytest.raises(BadInput, match="no token"):
        check_token(host, None)
    check_token(host, TOKEN)


def test_a_weak_token_is_refused():
    check_token("127.0.0.1", None)
    with pytest.raises(BadInput, match="too short"):
        check_token("127.0.0.1", TOKEN[1:])


def test_the_token_for_reading_may_look_only():
    reading = "a-second-token-to-look"
    given = {"host": "rig.lan:9180", "authorization": f"Bearer {reading}", "x-cpc-engine": "1"}
    for method, path in (("GET", "/status"), ("HEAD", "/metrics"), ("GET", "/history")):
        assert refusal_of(method, path, given, TOKEN, reading) is None
    for method in ("POST", "PUT", "DELETE"):
        assert refusal_of(method, "/pause", given, TOKEN, reading).status == 403
    assert refusal_of("GET", "/status", given, TOKEN).status == 401
    right = given | {"authorization": f"Bearer {TOKEN}"}
    assert refusal_of("POST", "/pause", right, TOKEN, reading) is None
