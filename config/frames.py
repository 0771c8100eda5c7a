"""The table of frames: type → route, for every frame that a client may send (protocol 2.1), and their older names."""

from chat import handlers as chat
from chat.frames import Delete, Edit, Focus, PollClose, PollVote, React, Send, SyncRequest
from gateway.indicators import ACTIVE, DELIVERED, SEEN, TYPING
from gateway.routes import IndicatorRoute, Route
from presence import handlers as presence
from presence.frames import PresenceUpdate, PresenceWatch, Typing
from receipts import handlers as receipts
from receipts.frames import DeliveredMark, ReadMark

# A frame that reads the database or many keys of Redis costs as much as several others, whether it is refused or not.
FRAMES = {
    "message.send": Route(Send, chat.send, hot=True, reply=chat.ack_of, before=(presence.end_typing,), cost=3),
    "message.edit": Route(Edit, chat.edit, cost=5),
    "message.delete": Route(Delete, chat.delete, cost=5),
    "message.react": Route(React, chat.react, cost=5),
    "poll.vote": Route(PollVote, chat.vote, cost=5),
    "poll.close": Route(PollClose, chat.close, cost=5),
    "message.delivered": Route(DeliveredMark, receipts.delivered, hot=True, acked=False, automatic=True),
    "read.mark": Route(ReadMark, receipts.read, hot=True, acked=False),
    "typing.start": Route(Typing, presence.start_typing, hot=True, acked=False, cost=5),
    "typing.stop": Route(Typing, presence.stop_typing, hot=True, acked=False),
    "presence.update": Route(PresenceUpdate, presence.set_status, hot=True, cost=2),
    "presence.subscribe": Route(PresenceWatch, presence.subscribe, hot=True, automatic=True, cost=20),
    "presence.unsubscribe": Route(PresenceWatch, presence.unsubscribe, hot=True, automatic=True, cost=2),
    "chat.focus": Route(Focus, chat.focus, hot=True),
    "sync.request": Route(SyncRequest, chat.synchronise, automatic=True, cost=10),
    "request-backfill": Route(SyncRequest, chat.backfill, automatic=True, cost=10),
}

# Names of the requirement documents (F369); they stay supported.
ALIASES = {
    "send_message": "message.send",
    "typing": "typing.start",
    "read_receipt": "read.mark",
    "mark-read": "read.mark",
}

# The text frame that is equivalent to a client's binary indicator (protocol 2.5).
INDICATORS = {
    TYPING | ACTIVE: IndicatorRoute("typing.start", lambda chat, seq: Typing(chat_id=chat)),
    TYPING: IndicatorRoute("typing.stop", lambda chat, seq: Typing(chat_id=chat)),
    DELIVERED: IndicatorRoute("message.delivered", lambda chat, seq: DeliveredMark(chat_id=chat, seq=seq)),
    SEEN: IndicatorRoute("read.mark", lambda chat, seq: ReadMark(chat_id=chat, seq=seq)),
}
