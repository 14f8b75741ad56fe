"""The installed kinds of jobs: entry points of the group `cpc_engine.jobs`.

The built-in kinds are registered like those of any other package. Code of other packages is imported
only if the operator enables the kind by name, and it cannot take the name of a built-in kind.
"""

from collections.abc import Iterable, Mapping
from gettext import gettext as _
from importlib.metadata import EntryPoint, entry_points

from engine.jobs.blobs import BlobRef, Blobs
from engine.jobs.kind import InvalidPayload, JobKind, JobLimits, JobWork, Payload, Unsupported
from engine.runtime.errors import BadInput, SetupError

GROUP = "cpc_engine.jobs"
OWN_PACKAGE = "cpc-engine"

Kinds = Mapping[str, JobKind]


def load_kinds(enabled: Iterable[str] = ()) -> dict[str, JobKind]:
    """Return the built-in kinds and the enabled ones of other packages, by name.

    Raise BadInput for an enabled kind that is not installed or cannot be loaded, SetupError if the
    built-in ones are missing.
    """
    found = entry_points(group=GROUP)
    chosen = {point.name: point for point in found if _is_ours(point)}
    if not chosen:
        message = _("this installation of {package} has no job kinds").format(package=OWN_PACKAGE)
        raise SetupError(message, advice=_("Install it again (from a checkout: make setup)."))
    others = {point.name: point for point in found if not _is_ours(point)}
    for name in enabled:
        if name in chosen:
            continue
        if name not in others:
            raise BadInput(
                _("no installed package has a job kind {name}: there are {known}").format(
                    name=repr(name), known=", ".join(sorted({**others, **chosen}))
                ),
                advice=_("Install the package that brings it, or take the name out."),
            )
        chosen[name] = others[name]
    return {name: _load(point) for name, point in sorted(chosen.items())}


def needed_blobs(kinds: Kinds, payload: object, limits: JobLimits) -> tuple[BlobRef, ...]:
    """Return the blobs to fetch before `parse_job`. Raise JobRefused."""
    kind, fields = _kind_of(kinds, payload)
    return kind.blobs(fields, limits)


def parse_job(kinds: Kinds, payload: object, limits: JobLimits, blobs: Blobs) -> JobWork:
    """Return the payload's job. Raise JobRefused, or MissingBlob for data that was not fetched."""
    kind, fields = _kind_of(kinds, payload)
    job = kind.parse(fields, limits, blobs)
    limits.check_cost(job.cost)
    limits.check_memory(job.bytes_needed)
    return job


def _kind_of(kinds: Kinds, payload: object) -> tuple[JobKind, Payload]:
    if not isinstance(payload, dict):
        raise InvalidPayload(_("a payload must be an object"))
    name = payload.get("challenge_type")
    if not isinstance(name, str):
        raise InvalidPayload(_("challenge_type must be the name of a kind of job"))
    if name not in kinds:
        message = _("there is no kind of job {name} here: there are {known}")
        raise Unsupported(message.format(name=repr(name[:60]), known=", ".join(kinds)))
    return kinds[name], payload


def _is_ours(point: EntryPoint) -> bool:
    return point.dist is not None and point.dist.name.replace("_", "-").lower() == OWN_PACKAGE


def _load(point: EntryPoint) -> JobKind:
    try:
        kind: JobKind = point.load()
    except Exception as error:
        raise BadInput(
            _("the job kind {name} cannot be loaded: {error}").format(name=point.name, error=error),
            advice=_("Install its package again, or take the name out."),
        ) from error
    return kind
