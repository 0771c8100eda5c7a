"""The REST routes of single messages: protocol 3, each in, one call, out."""

from datetime import datetime

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.authentication import session_of
from accounts.ids import from_wire
from chat.bodies import messages as bodies
from chat.frames import Message, Person, wire_time
from chat.ids import MessageId
from chat.messages import deletions, edits, history, polls, reactions, threads
from gateway.errors import InvalidPayload
from gateway.frames import Session
from gateway.http import answer, body
from gateway.ids import ConversationId, UserId
from gateway.paging import QUERY, cursor_of, limit_of, listing, write_cursor
from gateway.schema import described

PAGE = {"default": 50, "high": 100}


class OneMessage(APIView):
    @described(answers=Message)
    def get(self, request: Request, message_id: str) -> HttpResponse:
        """Return a message."""
        return answer(seen_by(session_of(request), from_wire(message_id, MessageId)))

    @described(takes=bodies.EditMessage, answers=Message)
    def patch(self, request: Request, message_id: str) -> HttpResponse:
        """Edit a message of yours, within the window."""
        session, wanted = session_of(request), body(request, bodies.EditMessage)
        people = [from_wire(person, UserId) for person in wanted.mentions] if wanted.mentions is not None else None
        edits.edit(
            session.user_id, from_wire(message_id, MessageId), wanted.content, version=wanted.version, mentions=people
        )
        return answer(seen_by(session, from_wire(message_id, MessageId)))

    @described(status=204, query={"scope": str})
    def delete(self, request: Request, message_id: str) -> HttpResponse:
        """Delete a message for everyone, or with `scope=self` for yourself."""
        scope = request.query_params.get("scope") or "everyone"
        if scope not in ("everyone", "self"):
            raise InvalidPayload("everyone or self", field="scope")
        act = deletions.hide if scope == "self" else deletions.delete
        act(session_of(request).user_id, from_wire(message_id, MessageId))
        return HttpResponse(status=204)


class Versions(APIView):
    @described(answers=bodies.MessageVersions, query=QUERY)
    def get(self, request: Request, message_id: str) -> HttpResponse:
        """Return the versions of a message's text, the latest first."""
        below = cursor_of(request, int)
        page = edits.versions(
            session_of(request).user_id, from_wire(message_id, MessageId), below=below, limit=limit_of(request, **PAGE)
        )
        versions = [
            bodies.MessageVersion(version=v.version, content=v.content, written_at=moment(v.written_at))
            for v in page.versions
        ]
        return answer(listing(bodies.MessageVersions, versions, write_cursor(page.next)))


class Reactions(APIView):
    @described(answers=bodies.Reactions, query={"emoji": str, **QUERY})
    def get(self, request: Request, message_id: str) -> HttpResponse:
        """Return who reacted to a message, all or with one emoji."""
        page = reactions.people(
            session_of(request).user_id,
            from_wire(message_id, MessageId),
            emoji=request.query_params.get("emoji") or None,
            after=cursor_of(request, int) or 0,
            limit=limit_of(request, **PAGE),
        )
        listed = [
            bodies.OneReaction(
                emoji=who.emoji,
                user=Person(id=str(who.user_id), display_name=who.display_name),
                created_at=moment(who.created_at),
            )
            for who in page.people
        ]
        return answer(listing(bodies.Reactions, listed, write_cursor(page.next)))


class Reaction(APIView):
    @described(answers=bodies.Reacted)
    def put(self, request: Request, message_id: str, emoji: str) -> HttpResponse:
        """Add your emoji to a message."""
        reacted = reactions.add(session_of(request).user_id, from_wire(message_id, MessageId), emoji)
        return answer(bodies.Reacted(rev=reacted.rev, reactions=reacted.reactions))

    @described(answers=bodies.Reacted)
    def delete(self, request: Request, message_id: str, emoji: str) -> HttpResponse:
        """Take your emoji away from a message."""
        reacted = reactions.remove(session_of(request).user_id, from_wire(message_id, MessageId), emoji)
        return answer(bodies.Reacted(rev=reacted.rev, reactions=reacted.reactions))


class Vote(APIView):
    @described(takes=bodies.PollVotes, answers=Message)
    def put(self, request: Request, message_id: str) -> HttpResponse:
        """Choose options of a poll in place of those that you had chosen; none takes your vote back."""
        session, wanted = session_of(request), body(request, bodies.PollVotes)
        polls.vote(session.user_id, from_wire(message_id, MessageId), wanted.options)
        return answer(seen_by(session, from_wire(message_id, MessageId)))


class Close(APIView):
    @described(answers=Message)
    def post(self, request: Request, message_id: str) -> HttpResponse:
        """Close a poll for good, as its author or an admin."""
        session = session_of(request)
        polls.close(session.user_id, from_wire(message_id, MessageId))
        return answer(seen_by(session, from_wire(message_id, MessageId)))


class Votes(APIView):
    @described(answers=bodies.Votes, query=QUERY)
    def get(self, request: Request, message_id: str) -> HttpResponse:
        """Return your choice in a poll and, unless it is anonymous, all choices."""
        after, limit = cursor_of(request, int) or 0, limit_of(request, **PAGE)
        page = polls.ballots(session_of(request).user_id, from_wire(message_id, MessageId), after=after, limit=limit)
        listed = [
            bodies.Vote(
                option=ballot.option,
                user=Person(id=str(ballot.user_id), display_name=ballot.display_name),
                created_at=moment(ballot.created_at),
            )
            for ballot in page.ballots
        ]
        return answer(listing(bodies.Votes, listed, write_cursor(page.next), mine=page.mine))


class Replies(APIView):
    @described(answers=bodies.Replies, query=QUERY)
    def get(self, request: Request, message_id: str) -> HttpResponse:
        """Return the replies of the thread that begins at a message, in seq order."""
        session, after = session_of(request), cursor_of(request, int) or 0
        page = threads.replies(
            session.viewer, from_wire(message_id, MessageId), after=after, limit=limit_of(request, **PAGE)
        )
        return answer(listing(bodies.Replies, page.messages, write_cursor(page.next), unread_count=page.unread))


class RepliesRead(APIView):
    @described(takes=bodies.ThreadMark, status=204)
    def post(self, request: Request, message_id: str) -> HttpResponse:
        """Mark a thread as read up to a seq."""
        wanted = body(request, bodies.ThreadMark)
        threads.read(session_of(request).user_id, from_wire(message_id, MessageId), wanted.seq)
        return HttpResponse(status=204)


class Threads(APIView):
    @described(answers=bodies.Threads, query=QUERY)
    def get(self, request: Request, conversation_id: str) -> HttpResponse:
        """List the threads of a conversation, the latest reply first."""
        user, before = session_of(request).user_id, cursor_of(request, int)
        page = threads.threads(
            user, from_wire(conversation_id, ConversationId), before=before, limit=limit_of(request, **PAGE)
        )
        listed = [
            bodies.Thread(
                thread_id=str(thread.id), root=thread.root, last_seq=thread.last_seq, unread_count=thread.unread
            )
            for thread in page.threads
        ]
        return answer(listing(bodies.Threads, listed, write_cursor(page.next)))


def seen_by(session: Session, message_id: MessageId) -> Message:
    """Return a message as it is shown on the device that asks."""
    return history.message_by_id(session.viewer, message_id)


def moment(at: datetime) -> str:
    """Return a time that is there as the wire writes it."""
    return wire_time(at) or ""
