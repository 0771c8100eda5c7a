"""Conversations, members, teams and flags in the admin: names and numbers, never message text (F233).

Nothing is changed here: every change of a conversation is a rev that its members are told of, which only the rules make.
"""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from chat.models import Conversation, Flag, Member, Team, TeamMember


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Nothing is made, changed or deleted here."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Conversation)
class ConversationAdmin(ReadOnly):
    list_display = ("id", "kind", "name", "team", "member_count", "last_seq", "last_message_at", "closed_at")
    list_filter = ("kind",)
    list_select_related = ("team",)
    search_fields = ("id__exact", "name__startswith")
    ordering = ("-id",)
    fields = (
        "id", "kind", "name", "topic", "team", "private", "shares_history", "created_by", "created_at", "closed_at",
        "member_count", "members_version", "last_seq", "rev", "last_message_at", "changed_at",
    )  # fmt: skip


@admin.register(Member)
class MemberAdmin(ReadOnly):
    """Without a member's own preferences and read marks."""

    list_display = ("conversation_id", "user", "role", "n", "joined_at", "left_at")
    list_filter = ("role",)
    list_select_related = ("user",)
    search_fields = ("conversation__id__exact", "user__email__startswith", "user__name_key__startswith")
    ordering = ("-id",)
    fields = ("conversation", "user", "n", "role", "joined_seq", "joined_at", "left_seq", "left_at")


@admin.register(Team)
class TeamAdmin(ReadOnly):
    list_display = ("id", "name", "created_by", "created_at")
    list_select_related = ("created_by",)
    search_fields = ("id__exact", "name__startswith")
    ordering = ("-id",)
    fields = ("id", "name", "description", "created_by", "created_at")


@admin.register(TeamMember)
class TeamMemberAdmin(ReadOnly):
    list_display = ("team", "user", "role", "joined_at")
    list_select_related = ("team", "user")
    search_fields = ("team__id__exact", "user__email__startswith", "user__name_key__startswith")
    ordering = ("-id",)
    fields = ("team", "user", "role", "joined_at")


@admin.register(Flag)
class FlagAdmin(ReadOnly):
    list_display = ("created_at", "user", "reason", "detail")
    list_filter = ("reason",)
    list_select_related = ("user",)
    search_fields = ("user__email__startswith", "user__name_key__startswith")
    ordering = ("-id",)
    fields = ("created_at", "user", "reason", "detail")
