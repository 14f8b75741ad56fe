"""The validator as a process: its files, the devices it checks with, the port it listens at.

    serve(ServeOptions(port=8080), PoolOptions(), Policy(), PlainReporter())  # until SIGTERM, Ctrl-C

One directory holds everything: `validator.sqlite`, and in `blobs/` the bytes of models, inputs and
results. One process at a time serves it; `customers`, `workers` and `payouts` may run beside it. With
the tables in PostgreSQL, several may: see docs/run-validator.md for what they share.
"""

import asyncio
import resource
import secrets
import socket
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from gettext import gettext as _
from pathlib import Path

from engine.jobs.blobs import BlobCache
from engine.jobs.kind import JobLimits
from engine.jobs.registry import load_kinds
from engine.monitor.events.run import Stopping
from engine.monitor.events.validator import ReceiptsSigned, ValidatorStarted
from engine.monitor.http.server import listen_at, new_server
from engine.monitor.reporter import Reporter
from engine.poc_protocol.constants import MAX_FRAME_BYTES
from engine.poc_protocol.held_bytes import HeldBytes
from engine.pool.messages import Setup
from engine.pool.options import PoolOptions
from engine.pool.pool import Pool
from engine.runtime.database import lock_file
from engine.runtime.errors import BadInput
from engine.runtime.signals import stop_on_signals
from engine.validator.frame_limits import bounded
from engine.validator.http.handlers import HttpLimits
from engine.validator.http.routes import create_app
from engine.validator.job_kinds import InstalledKinds
from engine.validator.market.market import Address, Market
from engine.validator.market.receipts import ReceiptMaker
from engine.validator.options import ServeOptions
from engine.validator.policy.audit_policy import Policy
from engine.validator.result_checker import ResultChecker
from engine.validator.service import Service
from engine.validator.store.database import Store
from kernels.devices import chosen_devices
from node_client.keys import PrivateKey

PING_SECONDS = 20.0
STOP_SECONDS = 5
BLOB_BYTES = 20 * 2**30
UNFINISHED_BYTES = 64 * 2**20
"""Of workers' messages that are not whole, or not done with, over all connections."""
MOST_CONNECTIONS = 1024
"""Of workers and customers together; at most half of the process's file descriptors."""


def serve(
    options: ServeOptions,
    pool: PoolOptions,
    policy: Policy,
    report: Reporter,
    key: PrivateKey | None = None,
) -> None:
    """Serve until asked to end. `key` signs receipts; None: there are none.

    Raises errors of engine, kernels and node_client.
    """
    place = options.database()
    with (
        _alone(place),
        listen_at(options.host, options.port, "--port") as listening,
        Store.open(place, policy) as store,
    ):
        blobs = BlobCache(options.files() / "blobs", BLOB_BYTES, store.tasks.blobs)
        if store.database.shared:
            store.tasks.home = _name_of(options.files() / "blobs")
        usual = JobLimits()
        limits = replace(usual, multiply_adds=options.most_cost or usual.multiply_adds)
        kinds = InstalledKinds(load_kinds(options.enable), limits, blobs)
        address = Address(options.chain_id, _public_url(options, listening))
        setup = Setup(threads=pool.threads)
        with Pool(
            chosen_devices(pool.device), report, setup=setup, limits=pool.limits()
        ) as workers:
            checker = ResultChecker(kinds, blobs, workers, policy.layer_share, policy.samples)
            checker.warm()
            try:
                receipts = None if key is None else ReceiptMaker(store, key, options.chain_id)
                market = Market(store, kinds, address, guests=options.guests, receipts=receipts)
                if key is not None:
                    report(ReceiptsSigned(key.address, key.public_key))
                service = Service(market, checker, blobs, store, report)
                _serve(options, service, kinds, listening, address, report, workers)
            finally:
                checker.close()
        if workers.error is not None:
            raise workers.error


def _serve(
    options: ServeOptions,
    service: Service,
    kinds: InstalledKinds,
    listening: socket.socket,
    address: Address,
    report: Reporter,
    workers: Pool,
) -> None:
    failure: list[BaseException] = []

    async def run(stopping: asyncio.Event) -> None:
        host, port = listening.getsockname()[:2]
        report(ValidatorStarted(address.chain_id, address.url, f"{host}:{port}"))
        try:
            await service.run(stopping, lambda: workers.error is None)
        except Exception as error:  # noqa: BLE001 - raised again when the server has ended
            failure.append(error)
            stop()

    server = new_server(
        create_app(service, kinds, HttpLimits(), run=run),
        _most_connections(),
        ws=bounded(HeldBytes(UNFINISHED_BYTES)),
        ws_max_size=2 * MAX_FRAME_BYTES,  # longer ones end the connection, instead of a refusal
        ws_per_message_deflate=False,  # a few bytes of it grow to gigabytes
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        log_level="error",
        timeout_graceful_shutdown=STOP_SECONDS,
        ssl_certfile=options.tls_certificate,
        ssl_keyfile=options.tls_key,
    )

    def stop() -> None:
        server.should_exit = True

    with stop_on_signals(stop, workers.child_pids):
        server.run(sockets=[listening])
    report(Stopping())
    if failure:
        raise failure[0]


def _alone(place: Path | str) -> AbstractContextManager[object]:
    """Keep other validators from a file; a server's database may have several."""
    if isinstance(place, str):
        return nullcontext()
    return lock_file(
        place.with_suffix(".lock"),
        _("another validator uses {path}").format(path=place),
        _("Stop it first, or give this one another directory with --directory."),
    )


def _name_of(directory: Path) -> str:
    """Return the directory's name for all validators that use it, drawn by the first of them."""
    name = directory / "name"
    drawn = directory / f"{secrets.token_hex(16)}.part"
    drawn.write_text(drawn.stem)
    with suppress(FileExistsError):
        name.hardlink_to(drawn)
    drawn.unlink()
    return name.read_text()


def _most_connections() -> int:
    files, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files < 0 else min(MOST_CONNECTIONS, files // 2)


def _public_url(options: ServeOptions, listening: socket.socket) -> str:
    if options.public_url is not None:
        from engine.poc_protocol.urls import check_validator_url

        return check_validator_url(options.public_url)
    scheme = "wss" if options.tls_certificate is not None else "ws"
    if options.host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        message = _("workers sign the address that they dial, and {host} is not one they can dial")
        advice = _("Say how workers reach this machine: --public-url wss://HOST/worker")
        raise BadInput(message.format(host=options.host or '""'), advice=advice)
    host = f"[{options.host}]" if ":" in options.host else options.host
    return f"{scheme}://{host}:{listening.getsockname()[1]}/worker"
