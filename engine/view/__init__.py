"""What the operator sees while it runs: one state, shown on the terminal, over HTTP and by `status`."""
