"""The page in a real Chromium: what it shows, what its buttons do, what its policy lets through."""

import json
import os
import re
import time
import urllib.request
from pathlib import Path

import pytest

from engine.monitor.events.run import Pulse
from engine.monitor.events.trouble import TroubleBegan, TroubleEnded
from engine.monitor.state import Monitor
from tests.engine.monitor import story
from tests.engine.monitor.http.chromium import Chromium, Screen, find_chromium
from tests.engine.monitor.http.served import served
from tests.processes import PATIENCE_SECONDS

AXE = Path(os.environ.get("CPC_AXE", "/nowhere"))
"""axe.min.js of https://github.com/dequelabs/axe-core, which finds what keeps people out."""
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


def test_an_hour_a_day_and_a_month_each_begin_where_there_is_something(board, browser):
    with served(board) as (url, _):
        page = browser.open(url)
        ready(page)
        first = page.look(
            "document.querySelector('.chart:last-child text:last-of-type').textContent"
        )
        assert re.fullmatch(r"−[\d.]+ (min|s)", first), first
        page.look("document.querySelector('#spans [value=month]').click()")
        page.wait("document.querySelector('#spans [value=month]').ariaPressed === 'true'")
        page.wait("document.querySelectorAll('.chart').length === 1")  # no step of 2 h has ended
        page.look("document.querySelector('#spans [value=hour]').click()")
        ready(page)
        counts = page.look(
            "[...document.querySelectorAll('.chart:last-child text')].slice(0, 3)"
            ".map((t) => t.textContent)"
        )
        assert all(count.isdecimal() for count in counts), counts
        assert page.complaints == []


def test_events_are_filtered_and_what_is_short_is_whole_when_asked(board, browser):
    with served(board) as (url, _):
        page = browser.open(url)
        ready(page)
        every = page.look("document.querySelectorAll('#events li').length")
        page.look("document.querySelector('#search').value = 'FINAL'")
        page.look("document.querySelector('#search').dispatchEvent(new Event('input'))")
        page.wait(f"document.querySelectorAll('#events li').length < {every}")
        assert "final, in block 1402" in text(page, "#events")
        page.look("document.querySelector('#search').value = 'no such thing'")
        page.look("document.querySelector('#search').dispatchEvent(new Event('input'))")
        page.wait("document.querySelector('#events').innerText === 'none yet'")
        page.look("document.querySelector('#figures .copy').click()")
        whole = page.look("document.querySelector('#figures .copy').title")
        page.wait(
            f"['copied', {whole!r}].includes(document.querySelector('#figures .copy').innerText)"
        )
        assert page.complaints == []


def test_a_transaction_leads_to_the_explorer_that_was_named(board, browser):
    with served(board, explorer="https://explorer.example/tx/{tx}") as (url, _):
        page = browser.open(url)
        ready(page)
        where = page.look("document.querySelector('#events a').href")
        assert re.fullmatch(r"https://explorer\.example/tx/[0-9a-f]+", where)


def test_the_browsers_language_comes_first(board):
    with served(board) as (url, _):
        for asked, told in (
            ("ru-RU,ru;q=0.9,en;q=0.8", 'lang="ru"'),
            ("de, en;q=0.7, ru;q=0.6", 'lang="en"'),
            ("de", 'lang="en"'),
            ("q=;;, ru;q=x", 'lang="en"'),
        ):
            asking = urllib.request.Request(url, headers={"Accept-Language": asked})
            with urllib.request.urlopen(asking, timeout=PATIENCE_SECONDS) as answer:
                assert told in answer.read().decode()
                assert answer.headers["Vary"] == "Accept-Language"


def test_numbers_and_units_are_the_languages_own(board, browser):
    with served(board) as (url, _):
        page = browser.open(url, language="ru")
        ready(page)
        assert "99,999916…" in text(page, "#figures")
        shown = text(page, "#devices")
        assert "318 Вт" in shown
        assert "3,4 / 24,0 ГиБ" in shown
        assert "13 мс" in shown


def test_a_paused_device_and_old_numbers_do_not_look_well(board, browser):
    with served(board) as (url, orders):
        page = browser.open(url)
        ready(page)
        orders.pause()
        page.wait("document.querySelector('#state').innerText === 'paused'")
        dot = page.look("getComputedStyle(document.querySelector('td.name .dot')).color")
        warn = page.look("getComputedStyle(document.querySelector('td.warn')).color")
        assert dot == warn
    page.wait("document.body.classList.contains('stale')")
    assert page.look("getComputedStyle(document.querySelector('#figures')).opacity") == "0.5"


@pytest.mark.skipif(not AXE.is_file(), reason="CPC_AXE names no axe.min.js (axe-core of npm)")
@pytest.mark.parametrize("screen", [Screen(), Screen(dark=True), Screen(390, 844, phone=True)])
def test_axe_finds_nothing(board, browser, screen):
    with served(board) as (url, _):
        page = browser.open(url, screen)
        ready(page)
        page.look(AXE.read_text(encoding="utf-8"))
        found = page.look("axe.run().then((all) => JSON.stringify(all.violations))")
        assert json.loads(found) == []
