"""The tables of config: every name in them refers to something that exists."""

import importlib
import inspect
import re
import typing
from collections.abc import Sequence
from dataclasses import fields

import msgspec
import pytest
from celery import current_app
from django.apps import apps
from django.core.management import call_command
from django.urls import URLPattern, URLResolver
from django.utils.module_loading import import_string

from chat.frames import SyncResponse
from config.env import BASE_DIR
from config.frames import ALIASES, FRAMES
from config.limits import Limits
from config.notices import NOTICES, merge
from config.reactions import REACTIONS
from config.schedule import SCHEDULE
from config.sync import PARTS
from config.urls import urlpatterns
from gateway.bus import Event
from gateway.frames import Caller, Frame, Viewer
from outbox.events import EVENTS, OutboxEvent
from outbox.nudge import WORK_TASK
from outbox.reactions import Reaction


@pytest.mark.parametrize("name", FRAMES)
def test_handlers_take_a_caller_and_their_frame(name: str) -> None:
    route = FRAMES[name]
    for handler in (route.handle, *route.before):
        hints = typing.get_type_hints(handler)
        taken = [hints[parameter] for parameter in inspect.signature(handler).parameters]
        assert taken == [Caller, route.frame], f"config/frames.py: the handler of {name} takes another frame"
    assert issubclass(route.frame, Frame)
    assert msgspec.structs.fields(route.frame) is not None


@pytest.mark.parametrize("name", FRAMES)
def test_frames_are_frozen_documented_and_ignore_unknown_fields(name: str) -> None:
    frame = FRAMES[name].frame
    config = frame.__struct_config__

    assert config.frozen, f"{frame.__name__}: frames are frozen (style 9)"
    assert not config.forbid_unknown_fields, "unknown fields are ignored (protocol)"
    assert frame.__doc__ and "Struct" not in frame.__doc__, f"{frame.__name__}: the docstring is the protocol's text"


def test_frame_aliases_name_existing_frames() -> None:
    assert set(ALIASES.values()) <= FRAMES.keys(), "config/frames.py: an alias of nothing"
    assert not ALIASES.keys() & FRAMES.keys(), "config/frames.py: an alias that is a frame as well"


def test_scheduled_tasks_are_registered_with_celery() -> None:
    current_app.loader.import_default_modules()
    named = {entry["task"] for entry in SCHEDULE.values()}

    assert named <= current_app.tasks.keys(), "config/schedule.py: no such task"


@pytest.mark.parametrize("reaction", REACTIONS, ids=lambda reaction: str(reaction.name))
def test_reaction_follows_declared_events_and_names_a_function_that_takes_them(reaction: Reaction) -> None:
    assert reaction.events and set(reaction.events) <= EVENTS.keys(), "config/reactions.py: no such event"
    hints = typing.get_type_hints(reaction.function())
    hints.pop("return")
    assert list(hints.values()) == [Sequence[OutboxEvent]], f"{reaction.run} takes a Sequence[OutboxEvent] and no more"


def test_reaction_names_are_unique() -> None:
    assert len({reaction.name for reaction in REACTIONS}) == len(REACTIONS)


def test_celery_tasks_are_scheduled() -> None:
    current_app.loader.import_default_modules()
    own = {name for name in current_app.tasks if not name.startswith("celery.")}
    named = {entry["task"] for entry in SCHEDULE.values()} | {WORK_TASK}

    assert own <= named, "a task that nothing starts: add it to config/schedule.py"


LISTENING = [
    ".".join(file.relative_to(BASE_DIR).with_suffix("").parts)
    for app in ("accounts", "chat", "gateway", "presence", "receipts")
    for file in sorted((BASE_DIR / app).rglob("*.py"))
    if re.search(r"^NOTICES\b", file.read_text(), re.MULTILINE)
]


@pytest.mark.parametrize("module", LISTENING)
def test_notice_listeners_of_apps_are_registered(module: str) -> None:
    for name, listener in importlib.import_module(module).NOTICES.items():
        assert listener in NOTICES.get(name, ()), f"config/notices.py: add {module}.NOTICES"


def test_all_listeners_of_a_notice_are_called() -> None:
    heard: list[str] = []
    first, second = {"changed": lambda event: heard.append("first")}, {"changed": lambda event: heard.append("second")}

    for listen in merge(first, second)["changed"]:
        listen(Event(notice="changed"))

    assert heard == ["first", "second"]


@pytest.mark.parametrize("name", PARTS)
def test_sync_part_takes_viewer_and_answer_and_returns_an_answer(name: str) -> None:
    hints = typing.get_type_hints(import_string(name))

    assert list(hints.values()) == [Viewer, SyncResponse, SyncResponse], f"config/sync.py: {name} has another signature"


def test_url_patterns_have_views() -> None:
    def views(patterns: Sequence[object]) -> None:
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                views(pattern.url_patterns)
            else:
                assert isinstance(pattern, URLPattern) and callable(pattern.callback), pattern

    views(urlpatterns)


@pytest.mark.parametrize("entry", fields(Limits), ids=lambda entry: str(entry.name))
def test_limits_have_source_meaning_and_a_default_within_bounds(entry: typing.Any) -> None:
    low, high = entry.metadata["low"], entry.metadata["high"]

    assert low <= entry.default <= high, f"config/limits.py: {entry.name}"
    assert entry.metadata["source"] and entry.metadata["meaning"], f"config/limits.py: {entry.name}"


def test_migrations_match_the_models() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_presence_app_has_no_tables() -> None:
    """Presence and typing are only in Redis and in processes (F136, F146)."""
    assert list(apps.get_app_config("presence").get_models()) == []
