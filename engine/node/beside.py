"""Work for validators beside mining, in one process and on the same devices.

    mine_on(request, key, report, beside(validators, key, report))

Jobs come first, blocks get what is left. One sender sends for both.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from engine.mining.loop import Miner
from engine.monitor.reporter import Reporter
from engine.poc_worker.config import ValidatorsRequest, open_workplace
from engine.poc_worker.submission import Submission
from engine.poc_worker.worker import PocWorker
from node_client.keys import PrivateKey


def beside(
    request: ValidatorsRequest, key: PrivateKey, report: Reporter
) -> Callable[[Miner], AbstractContextManager[PocWorker]]:
    """What `mine_on` opens while it mines. `report` is called from two threads."""

    @contextmanager
    def attend(miner: Miner) -> Iterator[PocWorker]:
        with open_workplace(
            request,
            key,
            executor=miner.desk,
            devices=miner.devices,
            report=report,
            chain_id=miner.chain_id,
        ) as place:
            if request.submit_most:
                place.answered = Submission(
                    miner.ledger, miner.poke_sender, report, most_an_hour=request.submit_most
                )
            worker = PocWorker(request.validators, place, miner.fail)
            worker.start()
            try:
                yield worker
            finally:
                worker.stop()

    return attend
