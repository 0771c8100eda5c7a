"""The REST routes of chat: protocol 3, each in, one call, out."""

from typing import Any, Literal
from uuid import uuid4

from django.conf import settings
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.authentication import session_of
from accounts.ids import from_wire
from chat import access, events
from chat.bodies import conversations as bodies
from chat.conversations import queries
from chat.frames import SyncResponse, Watermark
from chat.ids import MessageId
from chat.messages import history, ingest, validation
from chat.sync import sync
from gateway.errors import InvalidPayload
from gateway.http import answer, body, wire_int
from gateway.ids import ConversationId
from gateway.paging import QUERY, cursor_of, limit_of, listing, write_cursor
from gateway.schema import described

PAGE_QUERY = {"before": int, "after": int, "around": int, **QUERY}


class ConversationMessages(APIView):
    @described(answers=bodies.Messages, query=PAGE_QUERY)
    def get(self, request: Request, conversation_id: str) -> HttpResponse:
        """Return a page of history in seq order: the newest, or `before`, `after` or `around` a seq."""
        return _history(request, from_wire(conversation_id, ConversationId))

    @described(takes=bodies.NewMessage, answers=bodies.Sent, status=201, again=200)
    def post(self, request: Request, conversation_id: str) -> HttpResponse:
        """Send a message; the same `clientId` again returns the first answer with 200."""
        return _send(request, body(request, bodies.NewMessage), from_wire(conversation_id, ConversationId))


class Messages(APIView):
    @described(answers=bodies.Messages, query={"chatId": str, **PAGE_QUERY})
    def get(self, request: Request) -> HttpResponse:
        """The history of `chatId`, flat."""
        return _history(request, ConversationId(_named(request.query_params.get("chatId"))))

    @described(takes=bodies.NewMessage, answers=bodies.Sent, status=201, again=200)
    def post(self, request: Request) -> HttpResponse:
        """Send a message to `chatId` (or `conversation_id`), flat."""
        wanted = body(request, bodies.NewMessage)
        return _send(request, wanted, ConversationId(_named(wanted.chat_id or wanted.conversation_id)))


class Backfill(APIView):
    @described(takes=bodies.Backfill, answers=SyncResponse)
    def post(self, request: Request, conversation_id: str) -> HttpResponse:
        """Return the messages of one conversation after a message or seq (F76)."""
        session, conversation = session_of(request), from_wire(conversation_id, ConversationId)
        user, wanted = session.user_id, body(request, bodies.Backfill)
        access.member_of(user, conversation)
        named = wanted.last_message_id
        seq = history.seq_of(user, conversation, from_wire(named, MessageId)) if named else wanted.after
        limit = wanted.limit or settings.LIMITS.backfill_default
        mark: dict[int, Watermark] = {conversation: Watermark(seq=seq)}
        return answer(sync.changes(session.viewer, mark, only=conversation, limit=limit))


class Unread(APIView):
    @described(answers=bodies.Unread)
    def get(self, request: Request) -> HttpResponse:
        """Return your unread counts, in total and by chat."""
        chats = queries.unread(session_of(request).user_id)
        return answer(bodies.Unread(total_unread=sum(chats.values()), chats=chats))


def _named(chat: Any) -> int:
    if not isinstance(chat, str) or not chat:
        raise InvalidPayload("which chat?", field="chatId")
    return from_wire(chat, ConversationId)


def _history(request: Request, conversation_id: ConversationId) -> HttpResponse:
    session = session_of(request)
    edges = {name: wire_int(request, name) for name in ("before", "after", "around")}
    if cursor := cursor_of(request, tuple[Literal["before", "after"], int]):
        onward, seq = cursor
        edges = {**dict.fromkeys(edges), onward: seq}
    page, direction = history.page(session.viewer, conversation_id, limit=limit_of(request), **edges)
    following = write_cursor((direction, page.next_seq)) if page.has_more else None
    return answer(listing(bodies.Messages, page.messages, following))


def _send(request: Request, wanted: bodies.NewMessage, conversation_id: ConversationId) -> HttpResponse:
    session = session_of(request)
    events.publish_sending(session.user_id, conversation_id)
    key = request.headers.get("Idempotency-Key") or wanted.client_id or wanted.temp_id or str(uuid4())
    stored = ingest.store(
        validation.draft(
            conversation_id=conversation_id,
            sender_id=session.user_id,
            client_id=key,
            content=wanted.content,
            content_type=wanted.content_type,
            data=wanted.data,
            reply_to=wanted.reply_to,
            attachments=wanted.attachments,
            mentions=wanted.mentions,
            priority=wanted.priority,
            last_seen_seq=wanted.last_seen_seq,
            traceparent=validation.trace_of(request.headers.get("traceparent")),
        )
    )
    message = history.message_by_id(session.viewer, stored.id)
    return answer(bodies.Sent(message=message, duplicate=stored.duplicate), status=200 if stored.duplicate else 201)
