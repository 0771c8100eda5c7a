"""The table of all limits that a client can meet, with source, bounds and active value.

`PARLEY_LIMIT_<NAME>` overrides a limit within its bounds. `GET /api/v1/contract` publishes the active values.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from config.env import WrongEnvironment


def number(default: float, *, source: str, low: float, high: float, meaning: str) -> Any:
    return field(default=default, metadata={"source": source, "low": low, "high": high, "meaning": meaning})


@dataclass(frozen=True)
class Limits:
    """The active limits. Durations are seconds unless the name says otherwise."""

    max_frame_bytes: int = number(65536, source="F353", low=4096, high=65536, meaning="largest WebSocket frame")
    max_content_chars: int = number(10000, source="F16 U1", low=1, high=10000, meaning="longest message text")
    max_content_bytes: int = number(32768, source="F16 U1", low=1, high=32768, meaning="longest message text in UTF-8")
    max_attachments: int = number(10, source="protocol 1", low=0, high=100, meaning="attachments of one message")
    max_mentions: int = number(100, source="protocol 2.1", low=0, high=1000, meaning="mentions of one message")
    max_group_members: int = number(1000, source="F211 U2", low=2, high=10000, meaning="members of a group")
    max_channel_members: int = number(
        100_000, source="F4", low=2, high=10_000_000, meaning="members of a channel or broadcast"
    )
    max_name_chars: int = number(100, source="F2", low=1, high=200, meaning="longest name of a group or person")
    page_default: int = number(
        50, source="U11", low=1, high=500, meaning="messages of a history page unless asked otherwise"
    )
    page_max: int = number(
        500,
        source="U11",
        low=1,
        high=500,
        meaning="most messages of a history page (U11 proposes 100; 500 lets 1,000 missed messages load in 60 ms)",
    )
    backfill_default: int = number(100, source="F76", low=1, high=500, meaning="messages of a backfill page")
    sync_too_large: int = number(
        500, source="F75", low=1, high=10000, meaning="missed messages of a chat above which its cache is dropped"
    )
    sync_messages: int = number(1000, source="F76", low=1, high=5000, meaning="most messages of one sync answer")
    sync_chats: int = number(1000, source="F73", low=1, high=10000, meaning="most chats answered by one sync")
    heartbeat_interval: int = number(30, source="F354", low=1, high=60, meaning="a client pings this often")
    heartbeat_timeout: float = number(
        90, source="F354", low=1, high=300, meaning="silence after which a connection is closed (4408)"
    )
    handshake_timeout: float = number(
        10, source="protocol 2.6", low=1, high=60, meaning="time to complete a handshake (4410)"
    )
    resume_window: int = number(
        300, source="F80", low=0, high=3600, meaning="a resume token lives this long after the connection"
    )
    connections_per_user: int = number(
        5, source="F289", low=1, high=100000, meaning="open connections of a user; one more closes the oldest (4409)"
    )
    send_buffer_frames: int = number(
        1000, source="F298", low=10, high=10000, meaning="frames waiting for one connection"
    )
    summary_per_second: int = number(
        100, source="F303", low=1, high=1e8, meaning="news of a chat in a second above which it is told by summaries"
    )
    summary_interval: float = number(
        0.5, source="F303", low=0.05, high=5, meaning="time between two summaries of a chat"
    )
    summary_calm: float = number(
        2, source="F303", low=0.05, high=60, meaning="a chat below half that rate for so long is told live again"
    )
    slow_seconds: float = number(
        10, source="U13", low=0.1, high=60, meaning="a full buffer for so long closes the connection (4413)"
    )
    bad_frames: int = number(
        20,
        source="protocol 2.6",
        low=1,
        high=1000,
        meaning="malformed frames within a minute that close the connection (4400)",
    )
    ack_retry: float = number(
        5, source="F47", low=1, high=60, meaning="a client sends again, same id, without an ack after so long"
    )
    send_retries: int = number(5, source="F48 U4", low=1, high=20, meaning="tries of a client before it asks its user")
    in_flight: int = number(
        64,
        source="protocol 2",
        low=1,
        high=1000,
        meaning="un-acked sends of a connection before the server stops reading",
    )
    frames_per_second: float = number(
        50,
        source="protocol 2.7",
        low=1,
        high=1e6,
        meaning="frames of a connection; more wait, and then close it (4429)",
    )
    frame_bytes_per_second: int = number(
        131072, source="protocol 2.7", low=4096, high=1e9, meaning="bytes of frames of a connection"
    )
    frame_burst: float = number(
        4,
        source="protocol 2.7",
        low=1,
        high=60,
        meaning="seconds of both of these rates that a connection may use at once",
    )
    frame_patience: float = number(
        10,
        source="protocol 2.7",
        low=0.1,
        high=600,
        meaning="a connection above these rates for so long is closed (4429)",
    )
    indicator_bytes: int = number(1024, source="protocol 2.7", low=16, high=65536, meaning="largest binary frame")
    messages_per_second: float = number(10, source="F283", low=0.01, high=1e6, meaning="messages a user")
    messages_burst: int = number(20, source="F283", low=1, high=1e6, meaning="messages a user at once")
    messages_per_minute: int = number(100, source="F284", low=1, high=1e8, meaning="messages a user, sustained")
    stranger_messages_per_minute: int = number(
        10, source="F284", low=1, high=1e8, meaning="messages a user to people who are no contacts"
    )
    urgent_per_hour: int = number(3, source="F292", low=1, high=1e8, meaning="urgent messages of a user")
    changes_per_minute: int = number(
        120, source="F283", low=1, high=1e8, meaning="edits, deletions, reactions and votes of a user"
    )
    edit_window: int = number(
        48 * 3600, source="F25 U3", low=3600, high=365 * 86400, meaning="a message may be edited for so long"
    )
    delete_window: int = number(
        48 * 3600,
        source="F29 K36",
        low=3600,
        high=365 * 86400,
        meaning="a message may be deleted for everyone by its author for so long",
    )
    max_reactions: int = number(20, source="F21", low=1, high=100, meaning="different emoji on one message")
    typing_per_second: float = number(1, source="F285", low=0.01, high=1e6, meaning="typing.start a user and chat")
    marks_per_second: float = number(
        5, source="F286", low=0.01, high=1e6, meaning="read marks a user; more are coalesced"
    )
    delivered_per_second: float = number(
        5, source="protocol 2.1", low=0.01, high=1e6, meaning="delivered marks a connection; more are coalesced"
    )
    groups_per_day: int = number(10, source="F293", low=1, high=1e8, meaning="groups that a user may create")
    recipients_per_hour: int = number(
        100,
        source="F241",
        low=1,
        high=1e8,
        meaning="people whom a user may write to directly without being slowed, and direct chats that they may open",
    )
    joins_per_day: int = number(50, source="F294", low=1, high=1e8, meaning="channels that a user may join")
    profile_changes_per_day: int = number(10, source="F295", low=1, high=1e8, meaning="profile changes of a user")
    searches_per_second: float = number(
        5, source="F288", low=0.01, high=1e6, meaning="searches a user in the directory"
    )
    sign_ins_per_minute: int = number(
        10,
        source="F279",
        low=1,
        high=1e8,
        meaning="failed sign-ins a network, and a known browser; of an account from others 3 times that, 30 times a day",
    )
    handshakes_per_minute: int = number(
        60, source="protocol 2.6", low=1, high=1e8, meaning="socket handshakes of a user a minute (4429)"
    )
    presence_ttl: float = number(
        120,
        source="F144 K22",
        low=0.1,
        high=3600,
        meaning="presence of a lost connection ends this long after its last sign",
    )
    presence_refresh: float = number(
        60, source="F144", low=0.1, high=600, meaning="a living connection's presence is refreshed this often"
    )
    presence_idle: float = number(
        300,
        source="F142",
        low=0.1,
        high=86400,
        meaning="without a sign of a person for so long, available becomes away",
    )
    presence_away_kept: float = number(
        1800,
        source="F143 K22",
        low=0.1,
        high=86400,
        meaning="who was away when the connection was lost is shown so for so long",
    )
    presence_update_every: float = number(
        10,
        source="F151 F287",
        low=0.01,
        high=3600,
        meaning="one presence.update of a user in so long; more are coalesced",
    )
    presence_batch: float = number(
        2, source="F150", low=0.01, high=60, meaning="changes of presence are gathered for so long before they are told"
    )
    presence_subscriptions: int = number(
        100, source="F149", low=1, high=10000, meaning="people whose presence one connection is told"
    )
    presence_subscription_life: float = number(
        600, source="F148", low=0.1, high=86400, meaning="a presence subscription ends after so long, unless renewed"
    )
    presence_stale: float = number(
        300, source="F152 K24", low=0.1, high=3600, meaning="without Redis the last known presence is shown for so long"
    )
    typing_refresh: float = number(3, source="F130", low=1, high=60, meaning="a client repeats typing.start this often")
    typing_batch: float = number(
        1, source="F138", low=0.01, high=60, meaning="in large chats a reader is told who types once in so long at most"
    )
    typing_expiry: float = number(
        5, source="F131", low=1, high=60, meaning="a typing state ends this long after its last start"
    )
    delivered_shown: int = number(
        30 * 86400, source="F107 K1", low=0, high=2557 * 86400, meaning="who got it when is answered for so long"
    )
    seen_shown: int = number(
        7 * 86400, source="F107 K1", low=0, high=2557 * 86400, meaning="who saw it when is answered for so long"
    )
    delivered_kept: int = number(
        30 * 86400,
        source="F107 K1",
        low=86400,
        high=2557 * 86400,
        meaning="the log keeps what was delivered for so long",
    )
    seen_kept: int = number(
        30 * 86400, source="F107 K1", low=86400, high=2557 * 86400, meaning="the log keeps what was seen for so long"
    )
    receipt_names: int = number(
        20,
        source="K5",
        low=0,
        high=1000,
        meaning="members up to which receipts list names unless the chat says otherwise",
    )
    receipt_counts: float = number(
        30, source="F121", low=0, high=600, meaning="counts of receipts in large chats may be so old"
    )
    fanout_threshold: int = number(
        50,
        source="F394 K26",
        low=2,
        high=1000,
        meaning="members from which conversations list only yours and the admins",
    )
    max_attachment_bytes: int = number(2**30, source="F214", low=1, high=2**40, meaning="largest file")
    direct_upload_bytes: int = number(
        10 * 2**20, source="protocol 3", low=1, high=2**30, meaning="largest file that is sent in one request"
    )
    upload_chunk_bytes: int = number(
        4 * 2**20, source="F214", low=1, high=2**30, meaning="largest piece of a resumable upload"
    )
    uploads_per_minute: int = number(10, source="F290 K20", low=1, high=1e8, meaning="uploads that a user begins")
    uploads_per_day: int = number(50, source="F291 K20", low=1, high=1e8, meaning="uploads that a user begins a day")
    upload_bytes_per_day: int = number(
        2**30, source="F291 K20", low=1, high=2**50, meaning="bytes a user uploads a day"
    )
    link_seconds: int = number(300, source="U10", low=2, high=86400, meaning="life of a link to a file, at most")
    max_image_pixels: int = number(
        50_000_000, source="F218", low=1, high=10**9, meaning="pixels of an image; of an animation four times as many"
    )
    attachment_days: float = number(
        0,
        source="F222 K33",
        low=0,
        high=36500,
        meaning="files are kept for so many days, then a placeholder; 0: for good",
    )
    thumbnail_days: float = number(
        365, source="F222 K33", low=0, high=36500, meaning="thumbnails of expired files are kept for so many days"
    )
    orphan_seconds: float = number(
        86400, source="F213", low=0, high=30 * 86400, meaning="uploads given up and files never sent go after so long"
    )
    access_token: int = number(900, source="F269", low=10, high=3600, meaning="life of an access token")
    refresh_token: int = number(7 * 86400, source="F269", low=60, high=90 * 86400, meaning="life of a refresh token")
    ws_ticket: int = number(30, source="protocol 1", low=1, high=300, meaning="life of a one-time socket ticket")
    token_warning: int = number(
        60, source="protocol 2.2", low=1, high=600, meaning="token.refresh comes this long before the token's end"
    )
    overload_lag: float = number(
        0.25,
        source="U5",
        low=0.0001,
        high=60,
        meaning="lag of the event loop that is full load: above nine tenths of it new connections are sent away (4503)",
    )
    drain_seconds: float = number(
        10,
        source="protocol 2.6",
        low=0,
        high=120,
        meaning="clients of a stopping process come back spread over so long (4503)",
    )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Limits":
        """Return the active limits. Raises WrongEnvironment for a value that is no number or out of bounds."""
        changed: dict[str, Any] = dict(_overrides(cls, environ))
        return cls(**changed)


def _overrides(cls: type[Limits], environ: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    for entry in fields(cls):
        name = f"PARLEY_LIMIT_{entry.name.upper()}"
        if name not in environ:
            continue
        low, high = entry.metadata["low"], entry.metadata["high"]
        try:
            value = (int if entry.type is int else float)(environ[name])
        except ValueError:
            raise WrongEnvironment(f"{name}: {environ[name]!r} is no number") from None
        if not low <= value <= high:
            raise WrongEnvironment(f"{name}: {value} is not between {low} and {high} ({entry.metadata['meaning']})")
        yield entry.name, value


LIMITS = Limits.from_environ(os.environ)
