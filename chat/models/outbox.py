"""What has happened and must be followed up."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


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
