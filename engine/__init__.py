"""The engine: joins the chain (`node_client`) with the devices (`kernels`).

Read the packages in this order, from a block seen to a result confirmed:

    node/          what `mine` and `work` are made of: checks before the start, then one composition
    mining/        the loop: tips in, tasks out, results back
    pool/          supervised child processes that compute; pool/ray/ for machines of a Ray cluster
    txmgr/         the ledger, and the sender that survives everything
    tasks/         derives a block's tasks, and verifies results
    protection/    sensors, and when a device is paused or withdrawn
    poc_worker/    jobs of PoC validators over WebSocket; poc_protocol/ has the messages
    jobs/          kinds of jobs, as plug-ins
    validator/     the reference validator: task market, checks, payouts
    monitor/       events, and the state shown on terminal, page and metrics
    benchmark/     `cpc-engine bench`
    doctor/        what stands between a machine and its first result
    cli/           commands and configuration
    runtime/       database, errors, signals, systemd, paths, languages
"""

__version__ = "0.1.0"
