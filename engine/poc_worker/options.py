"""For which validators jobs are computed, and which jobs are accepted."""

from dataclasses import dataclass
from gettext import gettext as _
from typing import ClassVar

from engine.runtime.settings import setting

JOBS_PER_DEVICE = 128
"""So that there is always a next job: small ones are done, written down and judged in groups."""


@dataclass(frozen=True, kw_only=True)
class ValidatorsOptions:
    """Jobs of PoC validators."""

    heading: ClassVar[str] = _("Validators")

    validator: tuple[str, ...] = setting(
        (),
        _("PoC validator to take jobs from: wss://HOST/worker; several times for several."),
        metavar="URL",
    )
    job_kind: tuple[str, ...] = setting(
        (), _("Take only this kind of job. [all that are built in]"), metavar="KIND"
    )
    jobs: int | None = setting(
        None,
        _("Jobs of one validator at once. [{n} per device]").format(n=JOBS_PER_DEVICE),
        least=1,
        most=1024,
    )
    max_size: int | None = setting(None, _("Largest matrix size of a job."), least=1)
    max_iterations: int | None = setting(None, _("Most iterations of a job."), least=1)
    max_product: int | None = setting(None, _("Most multiply-adds of a job."), least=1)
    check_share: float = setting(
        1.0,
        _("Share of quick jobs' results that are checked before they are answered."),
        least=0.01,
        most=1.0,
    )
    cross_check: bool = setting(
        False,
        _(
            "Have quick jobs' results checked by another card that has nothing to do, while the CPU's"
            " checks are late."
        ),
    )
    validator_failures: int = setting(
        5,
        _(
            "Rejected results and cut connections within an hour, less accepted ones, after more of"
            " which a validator gets no work for 10 minutes, and for twice as long each time."
        ),
        least=0,
        most=1000,
    )
    submit: bool = setting(False, _("Also send the jobs' results to the chain, for a fee."))
    submit_most: int = setting(60, _("Results of jobs sent to the chain per hour."), least=1)

    @property
    def submitted_per_hour(self) -> int:
        """Results sent to the chain in an hour, at most; 0 for none."""
        return self.submit_most if self.submit else 0
