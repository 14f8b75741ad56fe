"""The pictures of docs/images: the page in Chromium, and the live view as a terminal shows it.

    python -m tests.engine.monitor.pictures [--all DIRECTORY]

`--all` writes the page also in the dark, on a phone and in Russian, to be looked at.
"""

import argparse
import io
import math
import random
import re
import tempfile
import time
from pathlib import Path

from rich.console import Console

from engine.monitor.events.protection import DevicesPaused
from engine.monitor.events.run import Pulse
from engine.monitor.events.sending import BalanceChanged
from engine.monitor.state import Monitor
from engine.monitor.terminal.render import Size, draw
from tests.engine.monitor import story
from tests.engine.monitor.http.chromium import Chromium, Screen
from tests.engine.monitor.http.served import served

IMAGES = Path(__file__).parents[3] / "docs" / "images"
SECONDS, BLOCK_TIME = 2400, 5
SIZE = Size(100, 27)
FEE = 80 * 10**6


def forty_minutes() -> Monitor:
    """Two cards that mine; after a while the second is too hot, and paused."""
    now = [time.time() - SECONDS]
    began, chance = now[0], random.Random(1)
    board = Monitor(clock=lambda: now[0])
    board(story.start())
    board(
        story.totals(final=1690, sent=2, given_up=2, seen=1772, skipped=10, missed=55, fees=10**14)
    )
    balance = 99_999_916_000_000_000_001
    board(BalanceChanged(balance))
    for name in ("cuda:0", "cuda:1"):
        board(story.device(name, "idle"))
    for step in range(SECONDS // BLOCK_TIME):
        now[0], height = began + step * BLOCK_TIME, 1402 + step
        hot = step * BLOCK_TIME > 2000
        board(story.block(height))
        for index, name in enumerate(("cuda:0", "cuda:1")):
            paused = hot and index == 1
            warm = 58 + 6 * index + 4 * (1 - math.exp(-step / 60)) + chance.uniform(-1, 1)
            climb = max(0.0, step * BLOCK_TIME - 1400) / 600 * 20 * index
            watts = 96.0 if paused else 318 + chance.uniform(-6, 6)
            room = {"memory_used": int(3.4 * 2**30), "memory_total": 24 * 2**30}
            heat = 74.0 if paused else round(warm + climb)
            board(story.reading(name, temperature=heat, power=watts, clock=2.52e9, **room))
            if paused:
                continue
            seconds = chance.uniform(0.0122, 0.0128)
            board(story.computed(height, name, seconds, latency=seconds + 0.01))
            board(story.confirmed(height - 7))
            balance -= FEE
        if step * BLOCK_TIME == 2000:
            board(DevicesPaused("cuda:1", "90 °C, and the limit is 88 °C"))
        board(BalanceChanged(balance))
    now[0] = began + SECONDS
    board(Pulse())
    return board


def live_view(board: Monitor, path: Path) -> None:
    """Write what a terminal of `SIZE` shows, as SVG."""
    console = Console(width=SIZE.width, height=SIZE.height, record=True, file=io.StringIO())
    console.print(draw(board.snapshot(), SIZE))
    fonts = 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace'
    svg = console.export_svg(title="cpc-engine mine", unique_id="live-view")
    svg = svg.replace("Fira Code, monospace", fonts)
    path.write_text(re.sub(r"@font-face \{[^}]*\}\s*", "", svg), encoding="utf-8")


def page(board: Monitor, path: Path, screen: Screen, language: str = "en") -> None:
    """Write what Chromium shows of the page."""
    with (
        tempfile.TemporaryDirectory() as directory,
        Chromium(Path(directory)) as browser,
        served(board) as (url, _),
    ):
        tab = browser.open(url, screen, language)
        tab.wait("document.querySelectorAll('.chart').length >= 4")
        tab.screenshot(path, whole=screen.phone)


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path)
    places = parser.parse_args()
    board = forty_minutes()
    live_view(board, IMAGES / "live-view.svg")
    page(board, IMAGES / "page.png", Screen())
    if places.all:
        places.all.mkdir(parents=True, exist_ok=True)
        page(board, places.all / "dark.png", Screen(dark=True))
        page(board, places.all / "phone.png", Screen(390, 844, phone=True))
        page(board, places.all / "russian.png", Screen(), "ru")


if __name__ == "__main__":
    main()
