"""Files on their way into messages."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.ids import NEW_ID


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
    parts = ArrayField(
        models.CharField(max_length=220), default=list, help_text="keys of the parts that have arrived, in order"
    )
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
