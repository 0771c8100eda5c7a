"""The process's own bounded thread pools. asgiref's would queue all handlers on one thread a process.

Requests have a pool of their own: a view may wait for the event loop, and the event loop for a handler's thread.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import close_old_connections

logger = logging.getLogger(__name__)
RETRY_INTERVAL = 0.5
P = ParamSpec("P")
R = TypeVar("R")

_handlers = ThreadPoolExecutor(settings.THREADS, thread_name_prefix="handler")
_requests = ThreadPoolExecutor(settings.THREADS, thread_name_prefix="request")


async def run(call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a plain function on a thread of the pool and return its result; its database connection goes back after it."""
    return await _on(_handlers, partial(call, *args, **kwargs))


async def run_request(call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a whole HTTP request's plain code on a thread, as `run` does a handler's."""
    return await _on(_requests, partial(call, *args, **kwargs))


async def _on(pool: ThreadPoolExecutor, call: Callable[[], R]) -> R:
    job = partial(copy_context().run, _with_connection, call)
    return await asyncio.get_running_loop().run_in_executor(pool, job)


async def retry(what: str, look: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Look into the database, as `run` does, until it answers: what waits for this look would else wait for ever."""
    while True:
        try:
            return await run(look, *args, **kwargs)
        except Exception as fault:
            logger.warning("%s not loaded (%s), trying again", what, type(fault).__name__)
            await asyncio.sleep(RETRY_INTERVAL)


def _with_connection(job: Callable[[], R]) -> R:
    close_old_connections()
    try:
        return job()
    finally:
        close_old_connections()
