"""The table of scheduled tasks, and the list of those on the queue `files`, which may take minutes for a file."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    "examine-attachments": {"task": "chat.tasks.examine_attachments", "schedule": 10.0, "options": {"expires": 10.0}},
    "sweep-attachments": {"task": "chat.tasks.sweep_attachments", "schedule": 3600.0, "options": {"expires": 3600.0}},
    "drain-outbox": {
        "task": "outbox.tasks.drain",
        "schedule": 5.0,
        "kwargs": {"by_clock": True},
        "options": {"expires": 5.0},
    },
    "keep-last-seen": {"task": "presence.tasks.keep_last_seen", "schedule": 60.0, "options": {"expires": 60.0}},
    "purge-deleted": {"task": "chat.tasks.purge_deleted", "schedule": 3600.0, "options": {"expires": 3600.0}},
    "sweep-expired": {"task": "accounts.tasks.sweep_expired", "schedule": 3600.0, "options": {"expires": 3600.0}},
    "keep-receipts": {"task": "receipts.tasks.keep_log", "schedule": 3600.0, "options": {"expires": 3600.0}},
}

FILES = ("chat.tasks.examine_attachments", "chat.tasks.sweep_attachments")
