"""Readiness and metrics: `/readyz`, `/metrics` (protocol 3). `config/http.py` answers `/healthz`."""

import hmac
import logging
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from gateway.redis_clients import thread_client
from outbox.lag import backlog

logger = logging.getLogger(__name__)


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 while messages can be stored (`ok`, or `degraded` without Redis), and 503 without the database."""
    dependencies = {"database": _measure(_check_database), "redis": _measure(_check_redis)}
    database_ok = dependencies["database"]["ok"]
    status = ("ok" if dependencies["redis"]["ok"] else "degraded") if database_ok else "unavailable"
    return JsonResponse({"status": status, "dependencies": dependencies}, status=200 if database_ok else 503)


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Return the metrics of this process, and the lag of the installation's outbox, for Prometheus."""
    if not may_read_metrics(request.headers.get("Authorization", "")):
        return HttpResponseNotFound()
    return HttpResponse(generate_latest() + _outbox_metrics(), content_type=CONTENT_TYPE_LATEST)


def may_read_metrics(authorization: str) -> bool:
    token: str = settings.METRICS_TOKEN
    if not token:
        return bool(settings.DEMO)
    return hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode())


def _outbox_metrics() -> bytes:
    """Return the outbox's gauges, nothing without the database, so that a scrape still gets the process's metrics."""
    registry = CollectorRegistry()
    rows = Gauge("parley_outbox_rows", "Recorded events that are not drained yet", registry=registry)
    age = Gauge("parley_outbox_seconds", "Age of the oldest of them", registry=registry)
    jobs = Gauge("parley_outbox_jobs", "Jobs of a reaction", ("reaction", "state"), registry=registry)
    lag = Gauge(
        "parley_outbox_lag_seconds", "How long its oldest due job has been due", ("reaction",), registry=registry
    )
    try:
        behind = backlog(settings.REACTIONS)
    except DatabaseError as fault:
        logger.warning("metrics without the outbox (%s)", type(fault).__name__)
        return b""
    rows.set(behind.rows)
    age.set(behind.seconds)
    for each in behind.reactions:
        lag.labels(each.reaction).set(each.seconds)
        for state in ("due", "waiting", "dead"):
            jobs.labels(each.reaction, state).set(getattr(each, state))
    return generate_latest(registry)


def _check_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _check_redis() -> None:
    thread_client().ping()


def _measure(check: Callable[[], None]) -> dict[str, Any]:
    """Check a dependency and return its state and duration. Of a failure only the exception's class is shown."""
    started = time.perf_counter()
    try:
        check()
    except Exception as fault:
        return {"ok": False, "ms": _ms(started), "error": type(fault).__name__}
    return {"ok": True, "ms": _ms(started)}


def _ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
