"""The answers of the REST routes of receipts."""

from gateway.frames import Frame
from gateway.paging import Listing


class Receipt(Frame, frozen=True):
    """A device has got or seen a message; `ttl`: for how many more seconds this is answered (K1)."""

    message_id: str
    recipient_id: str
    device_id: str
    state: str
    timestamp: str
    ttl: int


class Counts(Frame, frozen=True):
    """To how many a message went, and how many of them have got and seen it, as far as one may know."""

    recipients: int
    delivered: int
    seen: int


class Receipts(Listing[Receipt], frozen=True):
    """`GET /messages/{id}/receipts`: counts first; names where `named` says that the chat lists them (K5)."""

    message_id: str
    counts: Counts
    named: bool


class DeliveryState(Frame, frozen=True):
    """`GET /messages/{id}/delivery-state`: what all recipients have reached; user ids where names are listed."""

    message_id: str
    state: str
    delivered_to: list[str]
    read_by: list[str]
    counts: Counts
    timestamp: str


class ReceiptNames(Frame, frozen=True):
    """`/conversations/{id}/receipts`: whether lists of receipts bear names; `null` goes by the number of members."""

    names: bool | None


class DeviceTrace(Frame, frozen=True):
    """What a recipient's device has reported, and when; `null` where it has not, or not to you."""

    device_id: str
    delivered_at: str | None
    seen_at: str | None


class ConnectionTrace(Frame, frozen=True):
    """A connection of a recipient's that stood when a message was handed over, or was opened since; for staff.

    `handed_at` is `null` where it came too late and got the message by sync; `closed_at` and `close_code` while it lasts.
    `waits`: its peer takes nothing at the moment.
    """

    gateway: str
    connection_id: str
    device_id: str
    opened_at: str
    handed_at: str | None
    closed_at: str | None
    close_code: int | None
    waits: bool


class GatewayTrace(Frame, frozen=True):
    """A process that has handed a message to a recipient's connection, and when; `summed` where a summary told of it.

    `host`, its machine and process, is for staff.
    """

    gateway: str
    host: str | None
    told_at: str
    summed: bool


class RecipientTrace(Frame, frozen=True):
    """How far a message has come with one recipient. `hidden_by`: the rules that keep something from its sender.

    `connections` is for staff, `null` to its sender and while Redis is away.
    """

    user_id: str
    state: str
    devices: list[DeviceTrace]
    hidden_by: list[str]
    connections: list[ConnectionTrace] | None


class Trace(Frame, frozen=True):
    """`GET /messages/{id}/trace`: the way of a message, without what it says (F124).

    `gateways` have handed it to some recipient of this page who, to its sender, has it: to others' connections for staff
    alone, for whether one is connected is theirs to show. `null` while Redis is away; `silent_gateways` did not answer.
    """

    message_id: str
    chat_id: str
    seq: int
    stored_at: str
    published: bool
    traceparent: str | None
    gateways: list[GatewayTrace] | None
    silent_gateways: int
    recipients: list[RecipientTrace]
    next_cursor: str | None
    has_more: bool
