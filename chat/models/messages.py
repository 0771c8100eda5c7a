"""Messages and their dependent rows. `Message` is created by SQL (migration 0002): hash-partitioned, keyed `(conversation_id, seq)`."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.ids import NEW_ID


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
    """A message's text before an edit, or before it was deleted for everyone (until it is purged, K32)."""

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
    """A mention of a user, of which F23 counts the unread ones. @all and @here make no rows."""

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
