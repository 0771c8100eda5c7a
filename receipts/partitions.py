"""The log's partitions: made ahead, and dropped whole when all rows have expired and none is under a legal hold."""

import logging
from datetime import date, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from holds.holds import IN_FORCE_SQL
from receipts.models import Partition, Policy

logger = logging.getLogger(__name__)
DAY = 86400
# The clock may stop for so many days before marks find no partition (they then make one themselves).
AHEAD_DAYS = 60
STEP_DAYS = 7
# Marks wait while a partition is dropped, so the drop gives up soon; the clock tries again.
LOCK_TIMEOUT = "2s"
# Waits for holds that are being set, as `holds.wait_for_new_holds`, and for another drop: a partition is dropped once.
LOCK_HOLDS = "LOCK TABLE receipts_hold IN SHARE ROW EXCLUSIVE MODE"

MAKE = "SELECT count(*) FROM unnest(%(days)s::date[]) AS day WHERE receipts_make_partition(day)"
COUNT = "SELECT count(*) FROM receipts_log WHERE expires_on >= %(first)s AND expires_on < %(until)s"
# Index: log_key for holds of a conversation; those of a person read the whole partition.
HELD = f"""
SELECT EXISTS (
    SELECT FROM receipts_hold h
    JOIN receipts_log r ON (h.conversation_id IS NULL OR r.conversation_id = h.conversation_id)
                       AND (h.user_id IS NULL OR r.user_id = h.user_id)
    WHERE {IN_FORCE_SQL}
      AND r.expires_on >= %(first)s AND r.expires_on < %(until)s)
"""  # noqa: S608


def read_database_date() -> date:
    """Return the current UTC date of the database, by which the log is partitioned."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT (now() AT TIME ZONE 'UTC')::date")
        day: date = cursor.fetchone()[0]
    return day


def make_upcoming() -> int:
    """Make the partitions of the next weeks for every retention period in use; return the number made."""
    limits = settings.LIMITS
    kept = {limits.delivered_kept // DAY, limits.seen_kept // DAY}
    kept |= {
        days or 0 for days in Policy.objects.exclude(kept_days=None).values_list("kept_days", flat=True).distinct()
    }
    return make_for_periods(kept)


def make_for_periods(kept_days: set[int]) -> int:
    """Make the partitions for new rows with these retention periods, in days; return the number made."""
    begin = read_database_date()
    ahead = [timedelta(days=kept + step) for kept in sorted(kept_days) for step in range(0, AHEAD_DAYS, STEP_DAYS)]
    with connection.cursor() as cursor:
        cursor.execute(MAKE, {"days": [begin + days for days in ahead]})
        (made,) = cursor.fetchone()
    if made:
        logger.info("%s partitions of the receipt log were made", made)
    return int(made)


def drop_expired() -> int:
    """Drop each partition whose rows have all expired before today, and return the number of rows.

    A partition with rows under a legal hold stays until the hold ends; expired rows are not shown meanwhile. Raises
    OperationalError if marks or a new hold keep a partition locked.
    """
    due = Partition.objects.filter(dropped_at=None, until_on__lte=read_database_date()).order_by("from_on")
    return sum(_drop(partition) for partition in due)


def _drop(partition: Partition) -> int:
    values = {"first": partition.from_on, "until": partition.until_on}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
        cursor.execute(LOCK_HOLDS)
        if not Partition.objects.filter(pk=partition.pk, dropped_at=None).exists():
            return 0
        cursor.execute(HELD, values)
        if cursor.fetchone()[0]:
            logger.warning("%s is over, and stays: a legal hold covers some of it", partition.name)
            return 0
        cursor.execute(COUNT, values)
        (rows,) = cursor.fetchone()
        cursor.execute(f"DROP TABLE {connection.ops.quote_name(partition.name)}")
        Partition.objects.filter(pk=partition.pk).update(dropped_at=Now(), rows=rows)
    logger.info("%s is over: %s rows of the receipt log dropped", partition.name, rows)
    return int(rows)
