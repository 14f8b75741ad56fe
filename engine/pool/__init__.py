"""Supervised child processes that compute, one a device.

Read them in this order:

    pool.py            all of it together: the one thread that waits, and carries out what is decided
    executor.py        the thread-safe side: jobs in, results and a snapshot out
    messages.py        what parent and child say to each other; codec.py: how it crosses a pipe, checked
    supervisor.py      the policy for jobs, a pure state machine; actions.py are its outputs
    dispatch.py        which child is given which job
    device_life.py     the policy for children: started, watched, replaced, taken out of service
    check_share.py     which answers of a flood are checked; cross_check.py, which by another card
    worker_state.py    what is known of one device; restart_policy.py, how often its child may fail
    job_queue.py       what waits for a device
    launcher.py        the seam to whatever a child is; processes.py: processes of this machine,
                       each fed through a task_queue.py
    compiling.py       tells how far a child's kernels are compiled
    worker_main.py     the child itself
    checked_leaves.py  what is looked at before a child is believed
    leaf_digests.py    has that computed by processes; checkers.py is these processes' life, and
                       checker_main.py what they run, also for the validator
    limits.py          deadlines, restarts, memory
    ray/               children on other machines
    options.py         its settings
"""
