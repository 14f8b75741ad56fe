"""Kinds of jobs that a PoC validator gives, as plug-ins: docs/jobs.md specifies them to the byte.

    kinds = load_kinds()                                     # registry.py
    for ref in needed_blobs(kinds, payload, limits): ...     # fetched in chunks, blobs.py
    job = parse_job(kinds, payload, limits, blobs)           # or JobRefused, with the wire's code
    outcome = job.run(device)                                # in a child
    job.check(outcome)                                       # worker's parent, and validator

A payload comes from somebody who is not trusted: whatever it holds, nothing but `JobRefused` (and
`MissingBlob`, for data that was not fetched) comes out of parsing, and nothing large is allocated.
"""
