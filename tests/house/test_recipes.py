"""The recipes of CONTRIBUTING.md: their code, put together, runs against the modules and the database of today."""

import re
import textwrap
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from django.db import transaction

from config.env import BASE_DIR
from config.schedule import SCHEDULE
from gateway.errors import Forbidden
from gateway.frames import Caller
from gateway.routes import Wiring, compile_routes
from outbox.models import Outbox
from tests.factories import group, say, someone

# What the recipes leave out: the imports at the top of a module.
IMPORTS = """
from collections.abc import Sequence
from typing import Any

from celery import shared_task
from django.conf import settings
from django.db import transaction
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.authentication import session_of
from accounts.ids import from_wire
from chat.frames import WireId
from chat.ids import MessageId
from chat.messages import changes
from gateway import limits
from gateway.errors import Forbidden
from gateway.frames import Caller, Frame
from gateway.ids import UserId
from gateway.routes import Route
from gateway.schema import described
from outbox.events import MessagesDeleted, MessagesStored, OutboxEvent
from outbox.reactions import Reaction
"""
BLOCK = re.compile(r"(?:^(?: {7}.*)?\n)+", re.MULTILINE)


@pytest.fixture(scope="module")
def recipe() -> Iterator[SimpleNamespace]:
    """The names that the code of all recipes defines."""
    text = (BASE_DIR / "CONTRIBUTING.md").read_text()
    recipes = text[text.index("## A new frame") :]
    blocks = [textwrap.dedent(block) for block in BLOCK.findall(recipes) if block.strip()]
    names: dict[str, Any] = {"__name__": __name__}
    exec(compile(IMPORTS + "\n".join(blocks), "CONTRIBUTING.md", "exec"), names)
    yield SimpleNamespace(**names)
    current_app.tasks.unregister("chat.tasks.purge_pins")


def wiring(routes: dict[str, Any]) -> Wiring:
    nothing: dict[str, Any] = dict.fromkeys(Wiring._fields)
    return Wiring(**{**nothing, "routes": routes, "aliases": {}})


@pytest.mark.django_db
def test_frame_recipe_changes_a_message_once_and_records_its_event(recipe: SimpleNamespace) -> None:
    ada, bob = someone(), someone()
    chat = group(ada, bob)
    message = say(bob, chat)
    route, decoder = compile_routes(wiring(recipe.ROW))["message.pin"]
    frame = decoder.decode(f'{{"messageId": "{message.id}"}}')

    def handle(user_id: Any) -> dict[str, Any]:
        answer: dict[str, Any] = route.handle(Caller(user_id, ada.device_id, 0, "f", None), frame)
        return answer

    with pytest.raises(Forbidden):
        handle(bob.id)
    with transaction.atomic():
        revs = [handle(ada.id)["rev"] for _ in range(2)]

    assert revs == [message.rev + 1] * 2
    rows = Outbox.objects.filter(event="messages.changed", data__conversation_id=chat)
    assert [row.data["change"] for row in rows if row.data] == ["pinned"]


def test_route_limit_and_task_recipes_run(recipe: SimpleNamespace) -> None:
    recipe.charge_pins(someone().id)
    assert recipe.MessagePin().put.__doc__
    assert recipe.purge_pins() == 0
    assert recipe.PURGE.keys() == SCHEDULE["purge-deleted"].keys()


def test_reaction_recipe_takes_the_recorded_events(recipe: SimpleNamespace) -> None:
    recipe.follow([])
