"""The frames of receipts: marks in, receipts out (protocol 2.1, 2.2)."""

from chat.frames import Seq, WireId
from gateway.frames import Frame


class DeliveredMark(Frame, frozen=True):
    """`message.delivered`: this device has received all messages up to seq."""

    chat_id: WireId
    seq: Seq


class ReadMark(Frame, frozen=True):
    """`read.mark`: the user has read up to a message or seq; never moves back."""

    chat_id: WireId
    seq: Seq | None = None
    message_id: WireId | None = None


class DeliveredTo(Frame, frozen=True):
    """The seq up to which a member's devices have received a chat."""

    user_id: str
    seq: int


class SeenBy(Frame, frozen=True):
    """The message and seq up to which a member has read a chat."""

    user_id: str
    message_id: str
    seq: int


class DeliveryReceipt(Frame, frozen=True):
    """`delivery.receipt`: changed marks of one chat, coalesced."""

    chat_id: str
    receipts: list[DeliveredTo]


class ReadReceipt(Frame, frozen=True):
    """`read.receipt`: changed marks of one chat, coalesced."""

    chat_id: str
    receipts: list[SeenBy]
