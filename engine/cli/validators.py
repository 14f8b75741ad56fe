"""Options of work for validators, which `work` and `mine` share."""

from gettext import gettext as _
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from engine.poc_worker.config import ValidatorsRequest

Validators = Annotated[
    list[str] | None,
    typer.Option(
        "--validator",
        metavar="URL",
        help=_("PoC validator to take jobs from: wss://HOST/worker; several times for several."),
    ),
]
JobKinds = Annotated[
    list[str] | None,
    typer.Option("--job-kind", help=_("Take only this kind of job. [all that are built in]")),
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", min=1, max=1024, help=_("Jobs of one validator at once. [2 a device]")),
]
MaxSize = Annotated[
    int | None, typer.Option("--max-size", min=1, help=_("Largest matrix size of a job."))
]
MaxIterations = Annotated[
    int | None, typer.Option("--max-iterations", min=1, help=_("Most iterations of a job."))
]
MaxProduct = Annotated[
    int | None, typer.Option("--max-product", min=1, help=_("Most multiply-adds of a job."))
]
Submit = Annotated[
    bool, typer.Option("--submit", help=_("Send the jobs' results to the chain, too, for a fee."))
]
SubmitMost = Annotated[
    int, typer.Option("--submit-most", min=1, help=_("Results of jobs sent to the chain an hour."))
]
DEFAULT_SUBMIT_MOST = 60


def validators_request(
    validators: list[str] | None,
    kinds: list[str] | None,
    jobs: int | None,
    max_size: int | None,
    max_iterations: int | None,
    max_product: int | None,
    submit_most: int,
) -> "ValidatorsRequest | None":
    """What was asked for; None without a validator. Raises BadInput, before anything is started."""
    from engine.poc_worker.config import ValidatorsRequest
    from engine.runtime.errors import BadInput

    if not validators:
        if submit_most:
            raise BadInput(
                _("--submit sends results of validators' jobs, and no validator is named"),
                advice=_("Name one: --validator wss://HOST/worker"),
            )
        return None
    request = ValidatorsRequest(
        validators=tuple(validators),
        kinds=tuple(dict.fromkeys(kinds or ())),
        jobs=jobs,
        max_size=max_size,
        max_iterations=max_iterations,
        max_product=max_product,
        submit_most=submit_most,
    )
    request.check()
    return request
