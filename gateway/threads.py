"""The bounded thread pools of a process. (asgiref would run all handlers of a process on one thread.)

HTTP requests have a pool of their own: a view may wait for the event loop, which may wait for a handler's thread.
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
    """Run a plain function on a handler thread and return its result.

    Its database connection is released afterwards.
    """
    return await _on(_handlers, partial(call, *args, **kwargs))


async def run_request(call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run the plain code of an HTTP request on a request thread and return its result; otherwise like `run`."""
    return await _on(_requests, partial(call, *args, **kwargs))


async def _on(pool: ThreadPoolExecutor, call: Callable[[], R]) -> R:
    job = partial(copy_context().run, _with_connection, call)
    return await asyncio.get_running_loop().run_in_executor(pool, job)


async def retry(what: str, look: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a database lookup like `run`, and retry every RETRY_INTERVAL seconds until it succeeds.

    `what` names the lookup in the log. For lookups whose result must arrive, or their events would wait for ever.
    """
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
