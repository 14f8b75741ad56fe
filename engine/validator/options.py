"""How the validator is served, and how much it checks."""

import re
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from engine.runtime.errors import BadInput
from engine.runtime.settings import setting
from engine.validator.policy.audit_policy import Policy

if TYPE_CHECKING:
    from engine.validator.store.database import Store

_USUAL = Policy()
_CHAIN_ID = re.compile("[!-~]{1,50}")


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """Where the validator's files and its database are."""

    heading: ClassVar[str] = _("Files")

    directory: Path | None = setting(
        None,
        _("The validator's files: database, inputs and results. [validator in CPC_STATE]"),
        variable="CPC_VALIDATOR",
    )

    store: str | None = setting(
        None,
        _("PostgreSQL database that validators share: postgresql://USER@HOST/NAME. [SQLite file]"),
        metavar="URL",
        variable="CPC_STORE",
    )

    def files(self) -> Path:
        """Return the directory of the validator's files."""
        from engine.runtime.paths import state_directory

        return self.directory or state_directory() / "validator"

    def database(self) -> Path | str:
        """Return the path of the validator's SQLite file, or the URL of its database."""
        return self.files() / "validator.sqlite" if self.store is None else self.store

    def open_store(self) -> "Store":
        """Open the database. Raises DatabaseError, BadInput."""
        from engine.validator.store.database import Store

        return Store.open(self.database())


@dataclass(frozen=True, kw_only=True)
class ServeOptions(StoreOptions):
    """Serving: addresses, TLS, and which jobs are accepted."""

    heading: ClassVar[str] = _("Serving")

    host: str = setting("127.0.0.1", _("Address to listen at."))
    port: int = setting(8080, _("Port; 0: any free one."), least=0, most=65535)
    public_url: str | None = setting(
        None, _("How workers reach it, which they sign: wss://HOST/worker. [the address above]")
    )
    chain_id: str = setting("cpc-devnet-1", _("The chain that workers sign for."))
    guests: bool = setting(True, _("Serve workers that send no hello."))
    enable: tuple[str, ...] = setting((), _("A kind of job of another package, by its name."))
    most_cost: int | None = setting(None, _("Multiply-adds that one task may take."), least=1)
    tls_certificate: Path | None = setting(None, _("PEM file, for wss and https without a proxy."))
    tls_key: Path | None = setting(None, _("The certificate's key, PEM."))

    def check(self) -> None:
        """Raise BadInput for files that do not fit or do not exist, or a chain of no valid name."""
        if not _CHAIN_ID.fullmatch(self.chain_id):
            raise BadInput(
                _(
                    "--chain-id takes 1 to 50 printable characters without spaces, as in cpc-devnet-1"
                )
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise BadInput(_("--tls-certificate and --tls-key are given together or not at all"))
        for file in (self.tls_certificate, self.tls_key):
            if file is not None and not file.is_file():
                raise BadInput(_("there is no file {file}").format(file=file))


@dataclass(frozen=True, kw_only=True)
class PolicyOptions:
    """Auditing: how much is checked, and how long rewards are withheld."""

    heading: ClassVar[str] = _("Auditing")

    openings: int = setting(
        _USUAL.openings, _("Leaves drawn after each commitment."), least=1, most=1024
    )
    least_full: float = setting(
        _USUAL.least_full, _("Least share of the results computed again."), least=0, most=1
    )
    margin: float = setting(
        _USUAL.margin, _("How many times its gain a cheating worker stands to lose."), least=1
    )
    second_worker: float = setting(
        _USUAL.second_worker, _("Share of those left to a second worker."), least=0, most=1
    )
    layer_share: float = setting(
        _USUAL.layer_share,
        _("Share of a drawn sample's layers that are checked, above 0."),
        least=0,
        most=1,
    )
    samples: int = setting(
        _USUAL.samples,
        _("Samples of an inference that are computed again, at most."),
        least=1,
        most=1024,
    )
    hold_hours: float = setting(
        _USUAL.hold_seconds / 3600, _("Hours for which rewards are withheld."), least=0.001
    )

    def policy(self) -> Policy:
        """Return the policy. Raises BadInput where cheating would gain by it."""
        return Policy(
            openings=self.openings,
            least_full=self.least_full,
            margin=self.margin,
            second_worker=self.second_worker,
            layer_share=self.layer_share,
            samples=self.samples,
            hold_seconds=self.hold_hours * 3600,
        )
