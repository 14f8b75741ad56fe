"""Tells the operator what became of results: for whoever takes the sender's events out of an inbox."""

from engine.monitor.reporter import Reporter
from engine.runtime.errors import LedgerError
from engine.txmgr.inclusion import RolledBack
from engine.txmgr.ledger import Ledger
from engine.txmgr.manager import Abandoned, Confirmed, Funds, Repriced, SenderTrouble, Signed

Told = Signed | Repriced | Confirmed | Abandoned | Funds | SenderTrouble | RolledBack


def tell(event: Told, ledger: Ledger, report: Reporter) -> None:
    """Report it. Raises LedgerError where the sender ended because of the ledger."""
    match event:
        case Signed():
            report("signed", task_id=event.task_id, tx_hash=event.tx_hash, nonce=event.nonce)
        case Repriced():
            report(
                "repriced",
                task_id=event.task_id,
                tx_hash=event.tx_hash,
                gas_price=event.gas_price,
            )
        case Confirmed():
            for result in ledger.progress("task_id = ?", event.task_id):
                report(
                    "confirmed",
                    task_id=result.task_id,
                    height=result.height,
                    tx_hash=result.tx_hash,
                    included_height=result.included_height,
                    fee=ledger.fee(result.tx_hash) if result.tx_hash else 0,
                )
        case Abandoned():
            report("given_up", task_id=event.task_id, reason=event.reason)
        case Funds():
            report("funds", balance=event.balance)
        case RolledBack():
            report("rolled_back", first=event.first, last=event.last)
            tell_totals(ledger, report)
        case SenderTrouble():
            if event.fatal:
                raise LedgerError(event.message, advice=event.advice)
            report("sender_trouble", message=event.message, advice=event.advice)


def tell_totals(ledger: Ledger, report: Reporter) -> None:
    """Report what the ledger holds."""
    report("totals", fees=ledger.fees_paid(), **ledger.counts())
