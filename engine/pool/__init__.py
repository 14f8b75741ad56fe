"""Supervised child processes that compute, one a device.

Read them in this order:

    messages.py        what parent and child say to each other
    supervisor.py      the policy: a pure state machine; actions.py are its outputs
    worker_state.py    what is known of one device; restart_policy.py, how often it may fall
    job_queue.py       what waits for a device
    launcher.py        the seam to whatever a child is; processes.py: processes of this machine
    worker_main.py     the child itself
    result_check.py    what the parent checks before it believes a child
    pool.py            all of it together; executor.py is where other threads hand work in
    limits.py          deadlines, restarts, memory
    ray/               children on other machines
    options.py         its settings
"""
