"""A Ray cluster of several machines on this one: a head without devices, and raylets beside it."""

import contextlib
import logging
import os

from ray.cluster_utils import Cluster

from tests.processes import PATIENCE_SECONDS

logging.getLogger("ray").setLevel(logging.ERROR)
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


class Raylets:
    """Context manager; `add` and `kill` machines, each with one CPU."""

    def __enter__(self):
        self._cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
        )
        return self

    def __exit__(self, *_):
        with contextlib.redirect_stdout(None):
            self._cluster.shutdown()

    @property
    def address(self):
        return self._cluster.address

    def add(self):
        machine = self._cluster.add_node(num_cpus=1, wait=False)
        self._cluster.wait_for_nodes(timeout=PATIENCE_SECONDS)
        return machine

    def kill(self, machine):
        """As a power cut would: nothing is said good-bye to."""
        self._cluster.remove_node(machine, allow_graceful=False)
