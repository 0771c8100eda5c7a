"""The table of legal holds."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Hold(models.Model):
    """A legal hold: nothing of this conversation, or of this user, is removed until it ends or is released.

    A hold that names both covers only what this user has in this conversation.
    """

    conversation_id = models.BigIntegerField(null=True)
    user_id = models.BigIntegerField(null=True)
    held_by = models.CharField(max_length=200)
    reason = models.CharField(max_length=500)
    held_until = models.DateTimeField(db_column="until", null=True, help_text="None: until released")
    created_at = models.DateTimeField(db_default=Now())
    released_at = models.DateTimeField(null=True)

    class Meta:
        # Its name since it stood among the receipts.
        db_table = "receipts_hold"
        constraints = [
            models.CheckConstraint(
                name="hold_names_something", condition=Q(conversation_id__isnull=False) | Q(user_id__isnull=False)
            )
        ]

    def __str__(self) -> str:
        return f"hold {self.pk}"
