"""Conversations, their members and drafts."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.ids import NEW_ID
from chat.models.teams import Team


class Conversation(models.Model):
    """A direct chat, a group, a channel or a broadcast. `last_seq` and `rev` move under its row lock, without holes."""

    class Kind(models.TextChoices):
        DIRECT = "direct"
        GROUP = "group"
        CHANNEL = "channel"
        BROADCAST = "broadcast"

    id = models.BigIntegerField(primary_key=True, db_default=NEW_ID, editable=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    name = models.CharField(max_length=200, default="", blank=True)
    topic = models.CharField(max_length=500, default="", blank=True)
    avatar_url = models.CharField(max_length=500, default="", blank=True)
    direct_key = models.CharField(max_length=50, null=True, unique=True, help_text="both user ids, the lower first")
    shares_history = models.BooleanField(default=True, help_text="new members may read earlier messages (F36)")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    last_seq = models.BigIntegerField(default=0)
    rev = models.BigIntegerField(default=0)
    members_version = models.BigIntegerField(default=0)
    member_count = models.IntegerField(default=0)
    next_n = models.IntegerField(default=1)
    last_message_at = models.DateTimeField(db_default=Now())
    metadata = models.JSONField(default=dict, blank=True)
    team = models.ForeignKey(Team, models.PROTECT, null=True, blank=True, related_name="conversations")
    private = models.BooleanField(default=False, db_default=False, help_text="a channel that only its members know of")
    closed_at = models.DateTimeField(null=True, blank=True, help_text="dissolved by its owner: nobody is in it")
    changed_at = models.DateTimeField(null=True, blank=True, help_text="its last change that was no new message")
    settings_rev = models.BigIntegerField(default=0, db_default=0, help_text="rev of its last change but in messages")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="conversation_direct_has_key",
                condition=Q(kind="direct", direct_key__isnull=False) | (~Q(kind="direct") & Q(direct_key__isnull=True)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Member(models.Model):
    """One interval of membership: the messages with `joined_seq` < seq <= `left_seq` were sent to this user (K44)."""

    class Role(models.TextChoices):
        OWNER = "owner"
        ADMIN = "admin"
        MEMBER = "member"

    conversation = models.ForeignKey(Conversation, models.PROTECT, related_name="members", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)
    n = models.IntegerField(help_text="number in the conversation, stable while a member (protocol 2.5)")
    role = models.CharField(max_length=8, choices=Role.choices, default=Role.MEMBER)
    joined_seq = models.BigIntegerField(default=0)
    joined_at = models.DateTimeField(db_default=Now())
    left_seq = models.BigIntegerField(null=True)
    left_at = models.DateTimeField(null=True)
    read_seq = models.BigIntegerField(default=0)
    own_above = models.BigIntegerField(default=0, db_default=0, help_text="its user's own messages above read_seq")
    read_at = models.DateTimeField(null=True)
    delivered_seq = models.BigIntegerField(default=0)
    muted_until = models.DateTimeField(null=True)
    pinned_at = models.DateTimeField(null=True)
    archived_at = models.DateTimeField(null=True)
    marked_unread = models.BooleanField(default=False, db_default=False, help_text="by its user, until read again")
    own_at = models.DateTimeField(null=True, help_text="its user's last setting for themself, drafts included")
    frozen_delivered_seq = models.BigIntegerField(null=True)
    frozen_read_seq = models.BigIntegerField(
        null=True, help_text="read_seq as shown to users whom this member blocks; set by trigger"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="member_once", fields=["conversation", "user"], condition=Q(left_seq__isnull=True)
            ),
            models.CheckConstraint(
                name="member_interval", condition=Q(left_seq__isnull=True) | Q(left_seq__gte=F("joined_seq"))
            ),
        ]
        indexes = [
            models.Index(name="member_of_user", fields=["user", "conversation"]),
            models.Index(name="member_past", fields=["conversation", "left_seq"], condition=Q(left_seq__isnull=False)),
            models.Index(name="member_by_n", fields=["conversation", "n"]),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.conversation_id}"


class ConversationDraft(models.Model):
    """A user's draft in a conversation, for all of their devices."""

    user_id = models.BigIntegerField()
    conversation_id = models.BigIntegerField()
    text = models.TextField()
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(name="draft_once", fields=["user_id", "conversation_id"])]

    def __str__(self) -> str:
        return f"draft of {self.user_id} in {self.conversation_id}"


class Flag(models.Model):
    """A user for the staff to review (F241): counts, never message text."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False)
    reason = models.CharField(max_length=20)
    detail = models.CharField(max_length=200, default="", blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(name="flag_of_user", fields=["user", "reason", "created_at"])]

    def __str__(self) -> str:
        return f"{self.reason}: {self.user_id}"


class Epoch(models.Model):
    """The one row that names this database's history; renewed when a backup is restored (protocol 1)."""

    id = models.IntegerField(primary_key=True, default=1)
    epoch = models.UUIDField()

    class Meta:
        constraints = [models.CheckConstraint(name="epoch_is_one_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return str(self.epoch)
