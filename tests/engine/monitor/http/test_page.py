"""The page in a real Chromium: what it shows, what its buttons do, what its policy lets through."""

import re
import time

import pytest

from engine.monitor.events.run import Pulse
from engine.monitor.events.trouble import TroubleBegan, TroubleEnded
from engine.monitor.state import Monitor
from tests.engine.monitor import story
from tests.engine.monitor.http.chromium import Chromium, Screen, find_chromium
from tests.engine.monitor.http.served import served

TOKEN = "a-token-of-some-length"

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="there is no Chromium here")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def board():
    began = time.time() - 90
    now = [began]
    board = Monitor(clock=lambda: now[0])
    for step, event in enumerate([*story.two_cards(), Pulse()]):
        now[0] = began + 4 * step
        board(event)
    now[0] = time.time()
    return board


def text(page, selector):
    return page.look(f"document.querySelector({selector!r}).innerText")


def ready(page):
    page.wait("document.querySelectorAll('.chart').length === 4")


@pytest.mark.parametrize(
    "screen",
    [Screen(), Screen(dark=True), Screen(390, 844, phone=True), Screen(320, 568, phone=True)],
    ids=lambda s: f"{s.width}{'-dark' if s.dark else ''}",
)
def test_everything_is_shown_and_fits(board, browser, screen, tmp_path):
    with served(board) as (url, _):
        page = browser.open(url, screen)
        ready(page)
        assert text(page, "#state") == "mining"
        assert "1240" in text(page, "#figures")
        assert "90 °C, and the limit is 88 °C" in text(page, "#devices")
        assert "NVIDIA GeForce RTX 4090" in text(page, "#devices")
        assert "final, in block 1402" in text(page, "#events")
        assert page.look("document.documentElement.scrollWidth") <= screen.width
        back = page.look("getComputedStyle(document.body).backgroundColor")
        assert (back == "rgb(16, 21, 18)") == screen.dark
        assert page.look("document.querySelectorAll('.chart path.series').length") >= 5
        page.screenshot(tmp_path / "page.png")
        assert (tmp_path / "page.png").stat().st_size > 10_000
        assert page.complaints == []


def test_what_lasts_is_on_top_with_what_to_do(board, browser):
    board(TroubleBegan("key_shared", "another engine <b>uses</b> this key", "Stop it.", False))
    board(TroubleBegan("node_behind", "the node is 9 blocks behind", "", True))
    with served(board) as (url, _):
        page = browser.open(url)
        ready(page)
        first, second = text(page, "#troubles").split("\n")[::2]
        assert re.fullmatch(r"since [0-9:]+: the node is 9 blocks behind", first)
        assert re.fullmatch(r"since [0-9:]+: another engine <b>uses</b> this key. Stop it.", second)
        tones = page.look("[...document.querySelectorAll('#troubles p')].map(p => p.className)")
        assert list(tones) == ["bad", "warn"]
        board(TroubleEnded("node_behind", ""))
        page.wait("document.querySelectorAll('#troubles p').length === 1")
        assert page.complaints == []


def test_the_buttons_pause_and_resume(board, browser):
    with served(board) as (url, orders):
        page = browser.open(url)
        ready(page)
        page.look("document.querySelector('#pause').click()")
        page.wait("document.querySelector('#state').innerText === 'paused'")
        assert text(page, "#troubles") == "Paused: asked for"
        page.wait("!document.querySelector('#resume').hidden")
        page.wait("!document.querySelector('#resume').disabled")
        page.look("document.querySelector('#resume').click()")
        page.wait("document.querySelector('#state').innerText === 'mining'")
        assert orders.given == ["pause", "resume"]
        assert page.complaints == []


def test_the_token_is_asked_for_once(board, browser):
    with served(board, TOKEN) as (url, orders):
        page = browser.open(url)
        page.wait("!document.querySelector('#login').hidden")
        assert "1240" not in page.look("document.body.innerText")
        page.look(f"document.querySelector('#token').value = {TOKEN!r}")
        page.look("document.querySelector('#login button').click()")
        ready(page)
        assert page.look("document.querySelector('#login').hidden")
        page.look("document.querySelector('#pause').click()")
        page.wait("document.querySelector('#state').innerText === 'paused'")
        page.go(url)
        ready(page)
        assert orders.given == ["pause"]


def test_another_sites_page_can_do_nothing(board, browser):
    """A page from another origin: no fetch, no form and no frame gets through to the engine."""
    with served(board) as (url, orders), served(board) as (other, _):
        page = browser.open(other.replace("127.0.0.1", "localhost"))
        ready(page)
        script = (
            "fetch('{url}/pause', {{method: 'POST', mode: '{mode}', headers: {headers}}})"
            ".then(() => 'sent', () => 'stopped')"
        )
        for mode, headers in (("cors", "{'X-CPC-Engine': '1'}"), ("no-cors", "{}")):
            page.look(script.format(url=url, mode=mode, headers=headers))
        assert orders.given == []


def test_an_engine_that_is_gone_is_told(board, browser):
    with served(board) as (url, _):
        page = browser.open(url)
        ready(page)
    page.wait("document.querySelector('#state').innerText === 'no answer'")
    assert "does not answer" in text(page, "#troubles")
