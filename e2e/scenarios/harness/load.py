"""Pods created without a pause."""

import threading
import time

from .api import Api
from .objects import asking, revision_of

RATE = 15  # pods a second


class Load(threading.Thread):
    """Creates pods that ask for an environment, until its block is left."""

    def __init__(self, cluster, ns, dry_run):
        super().__init__(name="load")
        self.api, self.ns, self.dry_run = Api(cluster), ns, dry_run
        self.done = threading.Event()
        self.created, self.failed, self.unpatched, self.warnings = 0, [], [], []

    def run(self):
        due = time.monotonic()
        while not self.done.is_set():
            name = f"{'dry' if self.dry_run else 'pod'}-{self.created + len(self.failed)}"
            try:
                status, answer, warnings = self.api.create_pod(self.ns, asking(name, "build"),
                                                               self.dry_run)
                if status != 201:
                    self.failed.append((name, status, answer["message"]))
                else:
                    self.created += 1
                    if not revision_of(answer):
                        self.unpatched.append(name)
                        self.warnings += warnings
            except OSError as error:
                self.failed.append((name, repr(error)))
            due += 1 / RATE
            self.done.wait(max(0, due - time.monotonic()))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.join()
        self.api.close()
