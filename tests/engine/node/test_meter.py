"""Energy and balance of a day, as `history` has them, and how long the balance lasts."""

import pytest

from engine.monitor.events.protection import DeviceReading, Reading
from engine.monitor.events.run import Pulse
from engine.monitor.events.sending import BalanceChanged, BalanceLasts, ResultConfirmed
from engine.monitor.events.trouble import TroubleBegan, TroubleEnded
from engine.monitor.troubles import Troubles
from engine.node.meter import Meter
from engine.txmgr.history import read_days
from engine.txmgr.ledger import Ledger

DAY = 86400.0


@pytest.fixture
def events():
    return []


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def meter(events, clock):
    return Meter(events.append, Troubles(events.append), lambda: clock[0])


def test_joules_are_the_counters_or_else_watts_by_time(meter, clock, tmp_path):
    path = tmp_path / "l.sqlite"
    with Ledger.open(path, chain_id="c", genesis="g", address="a") as ledger:
        with meter.keeping(ledger):
            for second in range(121):
                clock[0] = float(second)
                meter(DeviceReading("cuda:0", Reading(energy=5000.0 + 300 * second, power=1.0)))
                meter(DeviceReading("cuda:1", Reading(power=100.0)))
                meter(DeviceReading("cpu", Reading()))
                if second == 60:
                    meter(BalanceChanged(7 * 10**18))
                    meter(Pulse())
                    assert read_days(tmp_path, since=0)[0].joules == 60 * 400
        (day,) = read_days(tmp_path, since=0)
    assert (day.joules, day.balance) == (120 * 400, 7 * 10**18)


def test_a_card_that_was_away_is_not_charged_for_that_time(meter, clock, tmp_path):
    with Ledger.open(tmp_path / "l.sqlite", chain_id="c", genesis="g", address="a") as ledger:
        with meter.keeping(ledger):
            for clock[0] in (0.0, 3600.0):
                meter(DeviceReading("cuda:1", Reading(power=100.0)))
        assert read_days(tmp_path, since=0)[0].joules == 1000


def pay(meter, clock, hours, fee=10):
    for _hour in range(hours):
        clock[0] += 3600.0
        meter(ResultConfirmed("task", 1, "hash", 2, fee))


def test_the_alarm_begins_below_three_days_and_ends_well_above(meter, clock, events):
    meter(BalanceChanged(10_000))
    pay(meter, clock, 25)
    lasts = [event.seconds for event in events if isinstance(event, BalanceLasts)]
    assert lasts[-1] == 1000 * 3600
    assert not [event for event in events if isinstance(event, TroubleBegan)]
    meter(BalanceChanged(600))
    (told,) = [event for event in events if isinstance(event, TroubleBegan)]
    assert (told.kind, told.stops) == ("balance_short", False)
    assert "2 d 12 h" in told.message
    meter(BalanceChanged(730))  # not yet enough for its end
    assert not [event for event in events if isinstance(event, TroubleEnded)]
    meter(BalanceChanged(10_000))
    assert [event.kind for event in events if isinstance(event, TroubleEnded)] == ["balance_short"]


def test_what_is_paid_counts_less_with_the_days(meter, clock, events):
    meter(BalanceChanged(10_000))
    pay(meter, clock, 200, fee=100)
    pay(meter, clock, 400, fee=1)
    lasts = [event.seconds for event in events if isinstance(event, BalanceLasts)]
    assert lasts[-1] > 0.5 * 10_000 * 3600
