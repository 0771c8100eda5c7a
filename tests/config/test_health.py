"""Readiness of each dependency, and access to the metrics."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import connections
from django.db.utils import ConnectionHandler
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils import timezone
from pytest_django.fixtures import Settings

from config import health
from outbox import lag
from outbox.models import Job
from outbox.reactions import Reaction

SECRET = "a-metrics-token-of-some-length"


def get_view(view: Any, **headers: str) -> HttpResponse:
    response: HttpResponse = view(RequestFactory().get("/", headers=headers))
    return response


def test_readiness_measures_each_dependency() -> None:
    answer = get_view(health.readyz)
    body = json.loads(answer.content)
    assert (answer.status_code, body["status"]) == (200, "ok")
    assert {name: found["ok"] for name, found in body["dependencies"].items()} == {"database": True, "redis": True}
    assert all(found["ms"] > 0 for found in body["dependencies"].values())


def test_readiness_without_redis_is_degraded(without_redis: None) -> None:
    answer = get_view(health.readyz)
    body = json.loads(answer.content)
    assert (answer.status_code, body["status"]) == (200, "degraded")
    assert body["dependencies"]["redis"]["error"] == "ConnectionError"


def test_readiness_without_the_database_fails_and_shows_no_internals(without_database: None, tmp_path: Path) -> None:
    answer = get_view(health.readyz)
    assert answer.status_code == 503
    assert json.loads(answer.content)["dependencies"]["database"] == {
        "ok": False,
        "ms": pytest.approx(0, abs=5000),
        "error": "OperationalError",
    }
    assert str(tmp_path) not in answer.content.decode()


def test_metrics_are_open_in_the_demo(settings: Settings) -> None:
    settings.DEMO, settings.METRICS_TOKEN = True, ""
    assert b"process_cpu_seconds_total" in get_view(health.metrics).content


def test_metrics_include_the_lag_of_each_reaction(settings: Settings) -> None:
    settings.DEMO, settings.METRICS_TOKEN = True, ""
    settings.REACTIONS = (Reaction("idle", "", ("user.changed",)), Reaction("behind", "", ("user.changed",)))
    Job.objects.filter(reaction="behind").delete()
    job = Job(reaction="behind", event="user.changed", keys={}, available_at=timezone.now() - timedelta(seconds=100))
    job.save()
    Job.objects.create(reaction="behind", event="user.changed", keys={}, dead_at=timezone.now())

    text = get_view(health.metrics).content.decode()
    Job.objects.filter(reaction="behind").delete()

    (lag,) = re.findall(r'^parley_outbox_lag_seconds{reaction="behind"} (\S+)$', text, re.M)
    assert 100 <= float(lag) < 200
    assert 'parley_outbox_lag_seconds{reaction="idle"} 0.0' in text
    assert 'parley_outbox_jobs{reaction="behind",state="due"} 1.0' in text
    assert 'parley_outbox_jobs{reaction="behind",state="dead"} 1.0' in text
    assert re.search(r"^parley_outbox_rows \d", text, re.M)


def test_metrics_without_the_database_include_those_of_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Settings
) -> None:
    settings.DEMO, settings.METRICS_TOKEN = True, ""
    nowhere = {**connections["default"].settings_dict, "HOST": str(tmp_path)}
    monkeypatch.setattr(lag, "connection", ConnectionHandler({"default": nowhere})["default"])

    text = get_view(health.metrics).content.decode()

    assert "process_cpu_seconds_total" in text
    assert "parley_outbox" not in text


def test_metrics_are_closed_elsewhere_without_a_token(settings: Settings) -> None:
    settings.DEMO, settings.METRICS_TOKEN = False, ""
    assert get_view(health.metrics, authorization="Bearer ").status_code == 404


@pytest.mark.parametrize("demo", [True, False])
def test_metrics_need_the_token_if_one_is_set(settings: Settings, demo: bool) -> None:
    settings.DEMO, settings.METRICS_TOKEN = demo, SECRET
    assert get_view(health.metrics, authorization=f"Bearer {SECRET}").status_code == 200
    for wrong in ("", f"Bearer {SECRET}x", "Bearer ü", SECRET):
        assert get_view(health.metrics, authorization=wrong).status_code == 404


@pytest.mark.parametrize("view", [health.readyz, health.metrics])
def test_health_answers_are_not_cached(view: Any) -> None:
    assert "no-store" in get_view(view)["Cache-Control"]


@pytest.fixture
def without_redis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    client = redis.Redis.from_url(f"unix://{tmp_path}/nobody.sock", socket_connect_timeout=1)
    monkeypatch.setattr(health, "thread_client", lambda: client)


@pytest.fixture
def without_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nowhere = {**connections["default"].settings_dict, "HOST": str(tmp_path)}
    monkeypatch.setattr(health, "connection", ConnectionHandler({"default": nowhere})["default"])
