"""`python -m tests.outbox.worker PORT`: the worker as `script/server` runs it, with one more reaction, which hangs.

The reaction connects to PORT of this machine when it is run, and waits for the other side to hang up.
"""

import socket
import sys
from collections.abc import Sequence

from django.conf import settings

from config import celery
from outbox.events import OutboxEvent
from outbox.reactions import Reaction

HANGING = Reaction("hanging", "tests.outbox.worker.hang", ("messages.stored",))
ARGUMENTS = ["worker", "--loglevel", "WARNING", "--without-gossip", "--without-mingle"]


def hang(events: Sequence[OutboxEvent]) -> None:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as peer:
        peer.recv(1)


def main() -> None:
    settings.REACTIONS = (*settings.REACTIONS, HANGING)
    celery.app.conf.task_queues = celery.queues(settings.REACTIONS)
    celery.app.conf.worker_concurrency = celery.threads(settings.REACTIONS)
    celery.app.worker_main(ARGUMENTS)


if __name__ == "__main__":
    main()
