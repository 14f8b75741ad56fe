"""Numbers and states as text: for the terminal's view and `status`."""

import time
from collections.abc import Callable
from gettext import gettext as _

from engine.monitor.snapshot import DeviceView, Snapshot, TroubleView

NOTHING = "–"
_DECIMALS = 11


def state_word(state: str, _: Callable[[str], str] = _) -> str:
    """Return the word for a state of a device or the engine, in the language of `_`."""
    return {
        "starting": _("starting"),
        "compiling": _("compiling"),
        "idle": _("ready"),
        "busy": _("computing"),
        "paused": _("paused"),
        "backoff": _("restarting"),
        "out": _("out of service"),
        "mining": _("mining"),
        "working": _("working for validators"),
        "waiting": _("waiting for the node"),
        "degraded": _("degraded"),
        "stopping": _("stopping"),
    }[state]


def bar(ratio: float, width: int = 10) -> str:
    """Return how far something is: ■■■■□□□□□□ 40 %."""
    full = round(width * ratio)
    return f"{'■' * full}{'□' * (width - full)} {100 * ratio:.0f} %".lstrip()


def rate(tops: float | None) -> str:
    """Return operations per second to three digits, with their unit: 640 TOPS, 12.5 GOPS, 3 MOPS."""
    if tops is None:
        return NOTHING
    scales = (("TOPS", 1.0), ("GOPS", 1e3), ("MOPS", 1e6))
    unit, factor = next((one for one in scales if tops * one[1] >= 1), scales[-1])
    value = tops * factor
    return f"{value:.0f} {unit}" if value >= 100 else f"{pointed(f'{value:.3g}')} {unit}"


def temperature(device: DeviceView) -> str:
    """Return degrees Celsius."""
    return NOTHING if device.temperature is None else f"{device.temperature:.0f} °C"


def power(device: DeviceView) -> str:
    """Return watts."""
    if device.power is None:
        return NOTHING
    return _("{watts} W").format(watts=f"{device.power:.0f}")


def memory(device: DeviceView) -> str:
    """Return GiB used, of how many."""
    if device.memory_used is None:
        return NOTHING
    used = gibibytes(device.memory_used)
    if device.memory_total is None:
        return used
    number, _space, unit = used.partition(" ")
    return f"{number}/{device.memory_total / 2**30:.0f} {unit}"


def gibibytes(count: float) -> str:
    """Return bytes as 3.4 GiB."""
    return _("{number} GiB").format(number=pointed(f"{count / 2**30:.1f}"))


def pointed(number: str) -> str:
    """Return a number as Python writes it, with the language's decimal point."""
    return number.replace(".", _("."))


def last_result(device: DeviceView) -> str:
    """Return the latest result: block, first digits of its hash, time it took."""
    if device.last_result is None or device.last_seconds is None:
        return NOTHING
    return f"{device.last_height} {device.last_result[:8]} {seconds(device.last_seconds)}"


def seconds(value: float) -> str:
    """Return a short time: 12 ms, 3.4 s."""
    if value < 1:
        return _("{milliseconds} ms").format(milliseconds=f"{1000 * value:.0f}")
    return _("{seconds} s").format(seconds=pointed(f"{value:.1f}"))


def duration(value: float) -> str:
    """Return a long time in its two largest units: 3 d 4 h, 5 min 2 s."""
    whole = int(max(0.0, value))
    days, hours = divmod(whole // 3600, 24)
    minutes, rest = whole // 60 % 60, whole % 60
    if days:
        return _("{days} d {hours} h").format(days=days, hours=hours)
    if hours:
        return _("{hours} h {minutes} min").format(hours=hours, minutes=minutes)
    if minutes:
        return _("{minutes} min {seconds} s").format(minutes=minutes, seconds=rest)
    return _("{seconds} s").format(seconds=rest)


def money(cpc: str | None, most: int = _DECIMALS) -> str:
    """Return an amount of CPC to `most` decimals: a result costs some 10^-10 on the devnet."""
    if cpc is None:
        return NOTHING
    whole, _point, decimals = cpc.partition(".")
    short = f"{whole}.{decimals[:most]}" if decimals else whole
    return f"{short}… CPC" if len(decimals) > most else f"{short} CPC"


def fees(seen: Snapshot) -> str:
    """Return what results have cost, and what others paid in this run, if they did."""
    if seen.run.received == "0":
        return money(seen.fees)
    both = _("{fees}; received: {received}")
    return both.format(fees=money(seen.fees), received=money(seen.run.received, 6))


def accepted(seen: Snapshot) -> str:
    """Return how many jobs' results were accepted, and what others paid in this run, if they did."""
    count = str(seen.jobs.accepted)
    if seen.run.received == "0":
        return count
    return _("{count}; received: {received}").format(
        count=count, received=money(seen.run.received, 6)
    )


def balance(seen: Snapshot) -> str:
    """Return what the account has, and for how long that lasts, where it is less than a month."""
    if seen.balance_lasts is None or seen.balance_lasts > 30 * 86400:
        return money(seen.balance, 6)
    return _("{time} left: {money}").format(
        time=duration(seen.balance_lasts), money=money(seen.balance, 6)
    )


def trouble(seen: TroubleView) -> str:
    """Return since when, what, and what to do."""
    line = _("since {time}: {message}").format(time=clock_time(seen.since), message=seen.message)
    return f"{line}. {seen.advice}" if seen.advice else line


def clock_time(at: float) -> str:
    """Return the local time of day."""
    return time.strftime("%H:%M:%S", time.localtime(at))
