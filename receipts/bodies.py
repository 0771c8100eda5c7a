"""The answers of the REST routes of receipts."""

from gateway.frames import Frame
from gateway.paging import Listing


class Receipt(Frame, frozen=True):
    """A device received or saw a message. `ttl`: the seconds for which this is still listed (K1)."""

    message_id: str
    recipient_id: str
    device_id: str
    state: str
    timestamp: str
    ttl: int


class Counts(Frame, frozen=True):
    """The numbers of a message's recipients, and of those who received and saw it, as far as the viewer may know."""

    recipients: int
    delivered: int
    seen: int


class Receipts(Listing[Receipt], frozen=True):
    """`GET /messages/{id}/receipts`: counts first; rows only if the chat lists names, as `named` says (K5)."""

    message_id: str
    counts: Counts
    named: bool


class DeliveryState(Frame, frozen=True):
    """`GET /messages/{id}/delivery-state`: what all recipients have reached; user ids if the chat lists names."""

    message_id: str
    state: str
    delivered_to: list[str]
    read_by: list[str]
    counts: Counts
    timestamp: str


class ReceiptNames(Frame, frozen=True):
    """`/conversations/{id}/receipts`: whether receipts list names; `null`: the number of members decides."""

    names: bool | None


class DeviceTrace(Frame, frozen=True):
    """When a recipient's device reported each state; `null`: it did not, or the viewer may not know."""

    device_id: str
    delivered_at: str | None
    seen_at: str | None


class ConnectionTrace(Frame, frozen=True):
    """A recipient's connection that was open when a message was handed over, or was opened since; for staff.

    `handed_at` is `null` if the connection was opened too late and got the message by sync. `closed_at` and
    `close_code` are `null` while it is open. `waits`: its peer reads nothing at the moment.
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
    """A process that handed a message to a recipient's connection, and when; `summed`: it sent a summary instead.

    `host`, its machine and process, is for staff.
    """

    gateway: str
    host: str | None
    told_at: str
    summed: bool


class RecipientTrace(Frame, frozen=True):
    """The state of a message for one recipient. `hidden_by`: the rules that hide something from its sender.

    `connections` is for staff: `null` for the sender, and while Redis is unavailable.
    """

    user_id: str
    state: str
    devices: list[DeviceTrace]
    hidden_by: list[str]
    connections: list[ConnectionTrace] | None


class Trace(Frame, frozen=True):
    """`GET /messages/{id}/trace`: the delivery of a message step by step, without its content (F124).

    `gateways` handed it to a recipient of this page. For the sender they count only recipients whose state is at least
    delivered: whether others are connected is private. `gateways` is `null` while Redis is unavailable;
    `silent_gateways` is the number of gateways that did not answer.
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
