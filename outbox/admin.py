"""Dead jobs for the staff: to be looked at, replayed or discarded. Jobs that are not dead are the worker's."""

import logging
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from outbox import dead_letters
from outbox.models import Job

logger = logging.getLogger(__name__)


@admin.register(Job)
class JobAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("id", "reaction", "event", "error", "attempts", "created_at", "dead_at")
    list_filter = ("reaction", "event", "error")
    ordering = ("id",)
    fields = readonly_fields = (
        "id", "reaction", "event", "keys", "error", "attempts", "created_at", "available_at", "dead_at",
    )  # fmt: skip
    show_full_result_count = False
    actions = ("replay", "discard")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        return dead_letters.dead_jobs()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Discarding is the one way, and asks for the permission to change jobs."""
        return False

    @admin.action(description="Replay: try them again now", permissions=["change"])
    def replay(self, request: HttpRequest, chosen: QuerySet[Job]) -> None:
        self._report(request, "replayed", dead_letters.replay(chosen))

    @admin.action(description="Discard: delete them undone", permissions=["change"])
    def discard(self, request: HttpRequest, chosen: QuerySet[Job]) -> None:
        self._report(request, "discarded", dead_letters.discard(chosen))

    def _report(self, request: HttpRequest, what: str, count: int) -> None:
        logger.warning("staff %s %s %s dead jobs", request.user.pk, what, count)
        self.message_user(request, f"{count} jobs {what}.", messages.SUCCESS)
