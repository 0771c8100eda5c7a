"""The outbox's tables: events that have been recorded, and the jobs that reactions have to do for them."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Outbox(models.Model):
    """A recorded event, written in the transaction of its cause; the drain turns it into jobs and deletes it.

    `chat_ingest` names the columns from `event` to `attempts`, so they stay as they are. Every other event has its keys
    in `data`.
    """

    event = models.CharField(max_length=40)
    conversation_id = models.BigIntegerField(null=True, help_text="of messages.stored")
    from_seq = models.BigIntegerField(default=0, db_default=0, help_text="of messages.stored")
    to_seq = models.BigIntegerField(default=0, db_default=0, help_text="of messages.stored")
    attempts = models.IntegerField(default=0, db_default=0, help_text="always 0; written by the storing function")
    data = models.JSONField(null=True, help_text="the keys of all events but messages.stored")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "chat_outbox"
        verbose_name_plural = "outbox"

    def __str__(self) -> str:
        return f"{self.event} {self.id}"


class Job(models.Model):
    """What one reaction has to do for one event; deleted when it is done, kept when it is dead."""

    reaction = models.CharField(max_length=80)
    event = models.CharField(max_length=40)
    keys = models.JSONField()
    attempts = models.IntegerField(db_default=0, help_text="failures since it was made or replayed")
    available_at = models.DateTimeField(db_default=Now(), help_text="when it is tried next")
    created_at = models.DateTimeField(db_default=Now(), help_text="when the event was recorded")
    dead_at = models.DateTimeField(null=True, help_text="when it failed for the last time")
    error = models.CharField(
        max_length=200, db_default="", help_text="class of the last exception, and where it was raised"
    )

    class Meta:
        indexes = [
            models.Index(name="job_due", fields=["reaction", "available_at", "id"], condition=Q(dead_at__isnull=True)),
            models.Index(name="job_dead", fields=["reaction", "id"], condition=Q(dead_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.id}: {self.reaction} for {self.event}"
