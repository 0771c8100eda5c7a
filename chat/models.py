"""The tables of chat. `Message` is created by SQL (migration 0002): hash-partitioned, keyed `(conversation_id, seq)`."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.ids import NEW_ID


class Team(models.Model):
    """People who share channels (F3)."""

    id = models.BigIntegerField(primary_key=True, db_default=NEW_ID, editable=False)
    name = models.CharField(max_length=200)
    description = models.CharField(max_length=500, default="", blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class TeamMember(models.Model):
    """Somebody in a team. A team's owner and admins manage its people; who leaves it leaves its channels."""

    class Role(models.TextChoices):
        OWNER = "owner"
        ADMIN = "admin"
        MEMBER = "member"

    team = models.ForeignKey(Team, models.CASCADE, related_name="members", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)
    role = models.CharField(max_length=8, choices=Role.choices, default=Role.MEMBER)
    joined_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(name="team_member_once", fields=["team", "user"])]
        indexes = [models.Index(name="team_of_user", fields=["user", "team"])]

    def __str__(self) -> str:
        return f"{self.user_id} in team {self.team_id}"


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
    shares_history = models.BooleanField(default=True, help_text="newcomers read what was said before them (F36)")
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
    frozen_read_seq = models.BigIntegerField(null=True, help_text="what whom its user blocks may know, by trigger")

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


class Message(models.Model):
    """A message. The table's key is `(conversation_id, seq)`; `id` stands in for it where Django wants one column.

    No foreign keys: the statement that inserts holds the conversation's lock and has just read the sender's member row,
    which has them (decision 0003).
    """

    class Status(models.TextChoices):
        ACTIVE = "active"
        EDITED = "edited"
        DELETED = "deleted"

    id = models.BigIntegerField(primary_key=True, db_default=NEW_ID, editable=False)
    conversation_id = models.BigIntegerField()
    seq = models.BigIntegerField()
    rev = models.BigIntegerField()
    changed = models.BooleanField(default=False, help_text="changed after it was sent: in the index by rev")
    sender_id = models.BigIntegerField()
    client_id = models.UUIDField()
    content_type = models.CharField(max_length=16)
    content = models.TextField()
    data = models.JSONField(null=True)
    reply_to = models.BigIntegerField(null=True)
    mentions = ArrayField(models.BigIntegerField(), null=True)
    priority = models.CharField(max_length=8)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.ACTIVE)
    version = models.IntegerField(default=1)
    last_seen_seq = models.BigIntegerField(null=True)
    root = models.BigIntegerField(null=True, help_text="id of the message at which its thread begins")
    replies = models.IntegerField(default=0, help_text="of a root: messages of its thread")
    last_reply = models.BigIntegerField(null=True, help_text="of a root: seq of the last one counted in `replies`")
    everyone = models.BooleanField(default=False, help_text="@all or @here: mentions all members")
    attachments = ArrayField(models.BigIntegerField(), null=True)
    reactions = models.JSONField(null=True, help_text="summary of chat_reaction as the wire has it (F21)")
    deleted_by = models.BigIntegerField(null=True)
    hidden = models.BooleanField(default=False, help_text="sent by a blocked person: only its sender sees it (F205)")
    traceparent = models.CharField(max_length=64, null=True)
    created_at = models.DateTimeField(db_default=Now())
    edited_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(null=True, help_text="its last change of any kind (F9)")

    class Meta:
        managed = False
        db_table = "chat_message"

    def __str__(self) -> str:
        return f"{self.conversation_id}#{self.seq}"


class MessageVersion(models.Model):
    """What a message said before an edit, or before it was deleted for everyone (until it is purged, K32)."""

    conversation_id = models.BigIntegerField()
    message_id = models.BigIntegerField()
    version = models.IntegerField()
    content = models.TextField()
    data = models.JSONField(null=True)
    written_at = models.DateTimeField(help_text="when this version was written")
    replaced_at = models.DateTimeField(db_default=Now())
    purge_at = models.DateTimeField(null=True, help_text="of a deleted message: nobody sees it, and then it is gone")

    class Meta:
        constraints = [
            models.UniqueConstraint(name="message_version_once", fields=["conversation_id", "message_id", "version"])
        ]
        indexes = [
            models.Index(name="message_version_purge", fields=["purge_at"], condition=Q(purge_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.message_id} version {self.version}"


class Reaction(models.Model):
    """One person's emoji on a message (F21)."""

    conversation_id = models.BigIntegerField()
    message_id = models.BigIntegerField()
    user_id = models.BigIntegerField()
    emoji = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(name="reaction_once", fields=["conversation_id", "message_id", "emoji", "user_id"])
        ]

    def __str__(self) -> str:
        return f"{self.emoji} by {self.user_id}"


class Mention(models.Model):
    """A message names somebody: what the mention count of F23 is counted from. @all and @here make no rows."""

    conversation_id = models.BigIntegerField()
    user_id = models.BigIntegerField()
    seq = models.BigIntegerField()
    sender_id = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(name="mention_once", fields=["conversation_id", "user_id", "seq"])]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.conversation_id}#{self.seq}"


class Hiding(models.Model):
    """A message that a user has deleted for themself alone (F27)."""

    conversation_id = models.BigIntegerField()
    user_id = models.BigIntegerField()
    seq = models.BigIntegerField()
    message_id = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(name="hiding_once", fields=["conversation_id", "user_id", "seq"])]
        indexes = [models.Index(name="hiding_of_message", fields=["conversation_id", "seq"])]

    def __str__(self) -> str:
        return f"{self.conversation_id}#{self.seq} for {self.user_id}"


class ThreadRead(models.Model):
    """How far a user has read a thread (F20)."""

    conversation_id = models.BigIntegerField()
    root = models.BigIntegerField()
    user_id = models.BigIntegerField()
    read_seq = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(name="thread_read_once", fields=["conversation_id", "root", "user_id"])]

    def __str__(self) -> str:
        return f"{self.user_id} in thread {self.root}"


class Vote(models.Model):
    """One person's choice of one option of a poll (F11)."""

    conversation_id = models.BigIntegerField()
    message_id = models.BigIntegerField()
    user_id = models.BigIntegerField()
    option = models.SmallIntegerField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(name="vote_once", fields=["conversation_id", "message_id", "user_id", "option"])
        ]

    def __str__(self) -> str:
        return f"{self.user_id} votes {self.option}"


class ConversationDraft(models.Model):
    """What a user has begun to write in a conversation, for all of their devices."""

    user_id = models.BigIntegerField()
    conversation_id = models.BigIntegerField()
    text = models.TextField()
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(name="draft_once", fields=["user_id", "conversation_id"])]

    def __str__(self) -> str:
        return f"draft of {self.user_id} in {self.conversation_id}"


class Attachment(models.Model):
    """A file on its way into a message, or in one. Its bytes are in the storage, under `key`."""

    class Status(models.TextChoices):
        UPLOADING = "uploading"
        SCANNING = "scanning"
        READY = "ready"
        REJECTED = "rejected"
        EXPIRED = "expired"

    id = models.BigIntegerField(primary_key=True, db_default=NEW_ID, editable=False)
    uploader_id = models.BigIntegerField()
    conversation_id = models.BigIntegerField(null=True)
    message_id = models.BigIntegerField(null=True)
    name = models.CharField(max_length=255)
    size = models.BigIntegerField()
    received = models.BigIntegerField(default=0, help_text="bytes that have arrived, without a hole")
    mime_type = models.CharField(max_length=127)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.UPLOADING)
    key = models.CharField(max_length=200, unique=True)
    thumbnail_key = models.CharField(max_length=200, default="", blank=True)
    parts = ArrayField(models.CharField(max_length=220), default=list, help_text="keys of what has arrived, in order")
    width = models.IntegerField(null=True)
    height = models.IntegerField(null=True)
    attempts = models.IntegerField(default=0, help_text="how often its examination was begun")
    due_at = models.DateTimeField(null=True, help_text="while scanning: when its examination is begun, or begun again")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    stored_at = models.DateTimeField(null=True, help_text="since when it has been ready; empty where no bytes are left")

    class Meta:
        indexes = [
            models.Index(name="attachment_of_message", fields=["message_id"], condition=Q(message_id__isnull=False)),
            models.Index(name="attachment_of_uploader", fields=["uploader_id", "created_at"]),
            models.Index(
                name="attachment_loose",
                fields=["updated_at"],
                condition=Q(message_id__isnull=True) | Q(status="uploading"),
            ),
            models.Index(name="attachment_due", fields=["due_at"], condition=Q(status="scanning")),
            models.Index(
                name="attachment_expiry", fields=["status", "stored_at"], condition=Q(stored_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"attachment {self.pk}"


class Outbox(models.Model):
    """What has happened and must be followed up; written with its cause, gone when all of it is done."""

    event = models.CharField(max_length=40)
    conversation_id = models.BigIntegerField()
    from_seq = models.BigIntegerField(default=0)
    to_seq = models.BigIntegerField(default=0)
    pending = ArrayField(models.CharField(max_length=80), null=True, help_text="reactions still to run; NULL: all")
    attempts = models.IntegerField(default=0)
    available_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "outbox"

    def __str__(self) -> str:
        return f"{self.event} {self.conversation_id} {self.from_seq}-{self.to_seq}"


class Flag(models.Model):
    """Somebody whose doings the staff should look at (F241): what was counted, never what was said."""

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
