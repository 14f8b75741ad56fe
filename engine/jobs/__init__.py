"""Kinds of jobs of PoC validators, as plug-ins; docs/jobs.md specifies them to the byte.

    kinds = load_kinds()                                     # registry.py
    for ref in needed_blobs(kinds, payload, limits): ...     # fetched in chunks, blob_fetcher.py
    job = parse_job(kinds, payload, limits, blobs)           # or JobRefused, with the protocol's code
    outcome = job.run(device)                                # in a child
    job.check(outcome)                                       # worker's parent, and validator

A payload is not trusted. Whatever it holds, parsing raises nothing but `JobRefused` (and
`MissingBlob`, for data that was not fetched), and allocates nothing large.
"""
