"""The tables of receipts. SQL in migration 0002 creates `Transition` and `Lane`: append-only and hash-chained."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Transition(models.Model):
    """A row of the log: when a device reported a range of messages as delivered or seen (K7).

    The table's key is `(conversation_id, user_id, device_id, state, to_seq, expires_on)`. Rows are never changed or
    deleted; a partition is dropped whole.
    """

    pk = models.CompositePrimaryKey("conversation_id", "user_id", "device_id", "state", "to_seq", "expires_on")
    conversation_id = models.BigIntegerField()
    user_id = models.BigIntegerField()
    device_id = models.BigIntegerField(help_text="0 where it is not known")
    state = models.SmallIntegerField(help_text="2 delivered, 3 seen")
    n = models.BigIntegerField(help_text="number in its lane, from 1")
    from_seq = models.BigIntegerField()
    to_seq = models.BigIntegerField()
    marked_at = models.DateTimeField(db_column="at")
    expires_at = models.DateTimeField()
    expires_on = models.DateField()
    previous_hash = models.BinaryField()
    previous_expires_on = models.DateField(null=True, help_text="where the row before stands, or stood")
    hash = models.BinaryField()

    class Meta:
        managed = False
        db_table = "receipts_log"

    def __str__(self) -> str:
        return f"{self.conversation_id}#{self.from_seq}-{self.to_seq} by {self.user_id}"


class Lane(models.Model):
    """A device's newest transition to a state: its watermark, and the head of its hash chain. Outlives the log."""

    pk = models.CompositePrimaryKey("conversation_id", "user_id", "device_id", "state")
    conversation_id = models.BigIntegerField()
    user_id = models.BigIntegerField()
    device_id = models.BigIntegerField()
    state = models.SmallIntegerField()
    n = models.BigIntegerField()
    from_seq = models.BigIntegerField()
    to_seq = models.BigIntegerField()
    marked_at = models.DateTimeField(db_column="at")
    expires_at = models.DateTimeField()
    expires_on = models.DateField()
    previous_hash = models.BinaryField()
    previous_expires_on = models.DateField(null=True)
    hash = models.BinaryField()

    class Meta:
        managed = False
        db_table = "receipts_lane"

    def __str__(self) -> str:
        return f"{self.conversation_id}#{self.to_seq} by {self.user_id}"


class Partition(models.Model):
    """The register of the log's partitions, dropped ones included: the proof of the chain reads it."""

    name = models.CharField(max_length=63, primary_key=True)
    from_on = models.DateField()
    until_on = models.DateField(help_text="not included")
    made_at = models.DateTimeField(db_default=Now())
    dropped_at = models.DateTimeField(null=True)
    rows = models.BigIntegerField(null=True, help_text="when it was dropped")

    class Meta:
        constraints = [models.UniqueConstraint(name="partition_from_once", fields=["from_on"])]

    def __str__(self) -> str:
        return self.name


class Policy(models.Model):
    """The receipt settings of one conversation: names in lists (K5), and the retention of its log (F108, K47)."""

    conversation_id = models.BigIntegerField(primary_key=True)
    lists_names = models.BooleanField(null=True, help_text="None: by its size")
    kept_days = models.IntegerField(null=True, help_text="regulated: neither sooner gone nor later")
    reason = models.CharField(max_length=500, default="", blank=True)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "policies"
        constraints = [
            models.CheckConstraint(
                name="policy_kept_days", condition=Q(kept_days__isnull=True) | Q(kept_days__gte=1, kept_days__lte=2557)
            )
        ]

    def __str__(self) -> str:
        return f"receipts of {self.conversation_id}"


class Inspection(models.Model):
    """A look of a staff member at the trace of a message (F124). Append-only."""

    staff_id = models.BigIntegerField()
    message_id = models.BigIntegerField()
    reason = models.CharField(max_length=500)
    looked_at = models.DateTimeField(db_column="at", db_default=Now())

    class Meta:
        indexes = [models.Index(name="inspection_of_message", fields=["message_id"])]

    def __str__(self) -> str:
        return f"{self.staff_id} looked at {self.message_id}"
