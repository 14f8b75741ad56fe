"""A customer who is patient with a market that is killed now and then."""

import time

from engine.validator.http.client import MarketClient, MarketError, MarketRefused
from tests.processes import wait_until

DEADLINE_SECONDS = 3600
AT_ONCE = 60
"""Open tasks at the market, at most: the rest is posted as they are done."""
POLL_SECONDS = 0.25
TOO_MANY = 429


class Customer:
    """`posted`: payload by task id."""

    def __init__(self, url, token):
        self.posted = {}
        self._market = MarketClient(url, token)

    def work_off(self, payloads, until):
        """Post every payload, a few at a time, until all tasks are closed."""
        waiting = list(payloads)
        while (is_open := self._count_open()) or waiting:
            assert time.monotonic() < until, f"{len(waiting)} tasks wait, {is_open} are open"
            for _ in range(min(AT_ONCE - is_open, len(waiting))):
                if not self._post(waiting[-1]):
                    break
                waiting.pop()
            time.sleep(POLL_SECONDS)

    def closed(self):
        """Every task as the market shows it."""
        return {task_id: self._ask(self._market.task, task_id) for task_id in self.posted}

    def put_blob(self, sha256, content):
        self._ask(self._market.put_blob, sha256, content)

    def _count_open(self):
        return sum(
            self._ask(self._market.tasks, status=status, limit=1)["total"]
            for status in ("pending", "in_progress")
        )

    def _post(self, payload):
        """One task; False to try again later. Where the answer is lost, the task may be there."""
        deadline = time.time() + DEADLINE_SECONDS
        try:
            task = self._market.post(
                payload["challenge_type"], payload, reward="1", deadline=deadline
            )
        except MarketError:
            newest = self._ask(self._market.tasks, limit=3)["tasks"]
            lost = [task for task in newest if task["task_id"] not in self.posted]
            self.posted |= {task["task_id"]: payload for task in lost}
            return bool(lost)
        except MarketRefused as error:
            if error.status != TOO_MANY:
                raise
            return False
        self.posted[task["task_id"]] = payload
        return True

    def _ask(self, question, *arguments, **more):
        """The answer, as soon as there is a market that gives one."""

        def answer():
            try:
                return (question(*arguments, **more),)
            except MarketError:
                return None
            except MarketRefused as error:
                if error.status != TOO_MANY:
                    raise
                time.sleep(1)
                return None

        return wait_until(answer, "an answer of the market", every=0.1)[0]
