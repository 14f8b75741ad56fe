"""Everything that the engine tells its operator, as a closed union of frozen dataclasses.

    report(BlockSeen(height=38, hash="1002...", tasks=1, seen_at=1795444205.2, block_time=5.0))

base.py says what each has: a name for JSON, a template for people, fields. One file a source: run.py,
mining.py, sending.py, trouble.py, pool.py, protection.py, poc.py, validator.py.
"""

from engine.monitor.events.mining import MiningEvent as MiningEvent
from engine.monitor.events.poc import PocEvent as PocEvent
from engine.monitor.events.pool import PoolEvent as PoolEvent
from engine.monitor.events.protection import ProtectionEvent as ProtectionEvent
from engine.monitor.events.run import RunEvent as RunEvent
from engine.monitor.events.sending import SendingEvent as SendingEvent
from engine.monitor.events.trouble import TroubleEvent as TroubleEvent
from engine.monitor.events.validator import ValidatorEvent as ValidatorEvent

EngineEvent = RunEvent | MiningEvent | SendingEvent | TroubleEvent | PoolEvent | ProtectionEvent
AnyEvent = EngineEvent | PocEvent | ValidatorEvent
