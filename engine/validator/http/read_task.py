"""A POST's body as a task: read, checked, and brought into the form that is kept; no I/O of its own.

Runs in a thread (`turns.py`). What is wrong is raised as the HTTP answer that says so.
"""

import json
from dataclasses import dataclass

from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from engine.jobs.blobs import MissingBlob
from engine.jobs.kind import JobRefused
from engine.poc_protocol.constants import MAX_FRAME_BYTES
from engine.poc_protocol.frames import JobRequest, encode
from engine.poc_protocol.strict_json import FULL, NotJson, NotTaken, canonical, count_values, parse
from engine.validator.http import schemas
from engine.validator.job_kinds import InstalledKinds
from engine.validator.store.requirements import Requirements
from node_client.errors import InvalidData
from node_client.networks import parse_cpc

PUBLIC_BYTES = 256 * 2**10
"""Of a payload with a seed: with the result anyone may ask for it, to compute it again."""


@dataclass(frozen=True, slots=True)
class ReadTask:
    """A task that can be posted. `text`: its payload in the canonical form. `values`: in the body."""

    text: str
    requirements: Requirements
    reward: int
    deadline: float
    values: int


def read_task(body: bytes, kinds: InstalledKinds) -> ReadTask:
    """Return the task. Raises HTTPException, RequestValidationError."""
    try:
        task = schemas.NewTask.model_validate(parse(body))
    except NotTaken as error:
        raise HTTPException(422, f"the body is not taken: {error}") from None
    except NotJson as error:
        raise HTTPException(400, f"the body is not valid JSON: {error}") from None
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False, include_context=False)
        raise RequestValidationError(
            [dict(one) | {"loc": ("body", *one["loc"])} for one in errors]
        ) from None
    payload = dict(task.payload)
    if payload.setdefault("challenge_type", task.challenge_type) != task.challenge_type:
        raise HTTPException(422, "the payload names another challenge_type than the task")
    try:
        reward = parse_cpc(task.reward)
        requirements = kinds.requirements(payload)
    except (JobRefused, InvalidData) as error:
        raise HTTPException(422, str(error)) from None
    except MissingBlob as error:
        raise HTTPException(409, f"{error}: PUT /blobs/{error.ref.sha256}") from None
    text = _text_to_send(payload)
    if requirements.own_seed and len(text) > PUBLIC_BYTES:
        raise HTTPException(422, f"the payload of a seed has at most {PUBLIC_BYTES} bytes")
    return ReadTask(text, requirements, reward, task.deadline, count_values(body, FULL))


def _text_to_send(payload: dict[str, object]) -> str:
    """Return the canonical text. Raises 422 for a payload whose frame no worker would take."""
    try:
        text = canonical(payload)
        frame = encode(JobRequest(job_id="0" * 32, task_id="0" * 36, payload=payload, deadline=0.0))
        json.dumps(payload, ensure_ascii=False).encode()  # half of a surrogate pair cannot be
        count_values(frame.encode(), FULL)
    except ValueError as error:
        raise HTTPException(422, f"the payload cannot be sent: {error}") from None
    if len(frame) > MAX_FRAME_BYTES:
        raise HTTPException(
            422, f"the payload cannot be sent: its frame has more than {MAX_FRAME_BYTES} bytes"
        )
    return text
