"""The REST routes of conversations and their members: protocol 3, each in, one call, out."""

from datetime import datetime

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.authentication import session_of
from accounts.ids import from_wire
from chat import access, read_state
from chat.bodies import conversations as bodies
from chat.conversations import conversations, members, preferences, queries
from chat.frames import ConversationObject
from chat.ids import TeamId
from chat.teams import channels
from gateway.errors import Forbidden, InvalidPayload
from gateway.frames import Session
from gateway.http import answer, body, fields_set
from gateway.ids import ConversationId, UserId
from gateway.paging import QUERY, cursor_of, limit_of, listing, write_cursor
from gateway.schema import described


def seen_by(session: Session, conversation_id: ConversationId) -> ConversationObject:
    """Return a conversation as it is shown on the device that asks."""
    return queries.conversation(session.viewer, conversation_id)


class Conversations(APIView):
    @described(answers=bodies.Conversations, query={"archived": bool, **QUERY})
    def get(self, request: Request) -> HttpResponse:
        """List your conversations, pinned ones first, then newest first; `archived=true` lists the archived ones."""
        cursor = cursor_of(request, tuple[bool, datetime, int])
        after = queries.Cursor(*cursor) if cursor else None
        archived = request.query_params.get("archived") == "true"
        session = session_of(request)
        page = queries.conversation_list(
            session.viewer, after=after, limit=limit_of(request, high=100), archived=archived
        )
        following = write_cursor(tuple(page.next)) if page.next else None
        return answer(listing(bodies.Conversations, page.conversations, following))

    @described(takes=bodies.NewConversation, answers=ConversationObject, status=201, again=200)
    def post(self, request: Request) -> HttpResponse:
        """Open the direct chat with a person (200 where there is one already), or create a group, a channel or a broadcast."""
        session, wanted = session_of(request), body(request, bodies.NewConversation)
        user = session.user_id
        people = [from_wire(person, UserId) for person in wanted.member_ids]
        match wanted.kind:
            case "direct" if wanted.user_id is not None:
                conversation, is_new = conversations.open_direct(user, from_wire(wanted.user_id, UserId))
                return answer(
                    conversation if is_new else seen_by(session, ConversationId(int(conversation.id))),
                    status=201 if is_new else 200,
                )
            case "direct":
                raise InvalidPayload("with whom?", field="userId")
            case "group":
                return answer(conversations.create_group(user, wanted.name, people), status=201)
            case "channel" | "broadcast" if wanted.team_id is not None:
                made_in_team = channels.create(
                    user,
                    from_wire(wanted.team_id, TeamId),
                    kind=wanted.kind,
                    name=wanted.name,
                    topic=wanted.topic,
                    private=wanted.private,
                    member_ids=people,
                )
                return answer(made_in_team, status=201)
            case "channel" | "broadcast":
                raise InvalidPayload("of which team?", field="teamId")
        raise InvalidPayload("direct, group, channel or broadcast", field="kind")


class Conversation(APIView):
    @described(answers=ConversationObject)
    def get(self, request: Request, conversation_id: str) -> HttpResponse:
        """Return a conversation as you see it."""
        return answer(seen_by(session_of(request), from_wire(conversation_id, ConversationId)))

    @described(takes=bodies.ConversationChange, answers=ConversationObject)
    def patch(self, request: Request, conversation_id: str) -> HttpResponse:
        """Change name, topic, picture, or whether new members see earlier messages, as an admin."""
        session, conversation = session_of(request), from_wire(conversation_id, ConversationId)
        conversations.change(session.user_id, conversation, fields_set(body(request, bodies.ConversationChange)))
        return answer(seen_by(session, conversation))

    @described(status=204)
    def delete(self, request: Request, conversation_id: str) -> HttpResponse:
        """Dissolve a conversation, as its owner: nobody is in it any more."""
        conversations.dissolve(session_of(request).user_id, from_wire(conversation_id, ConversationId))
        return HttpResponse(status=204)


class Members(APIView):
    @described(answers=bodies.Members, query={"cursor": str})
    def get(self, request: Request, conversation_id: str) -> HttpResponse:
        """List all members, 100 a page, in the order in which they came."""
        session, conversation = session_of(request), from_wire(conversation_id, ConversationId)
        access.member_of(session.user_id, conversation)
        after = cursor_of(request, int) or 0
        listed, following = read_state.page(session.viewer, conversation, after=after)
        return answer(listing(bodies.Members, listed, write_cursor(following)))

    @described(takes=bodies.NewMembers, answers=ConversationObject)
    def post(self, request: Request, conversation_id: str) -> HttpResponse:
        """Add a person (`userId`) or several (`userIds`), as an admin."""
        session, conversation = session_of(request), from_wire(conversation_id, ConversationId)
        wanted = body(request, bodies.NewMembers)
        people = [*wanted.user_ids, *([wanted.user_id] if wanted.user_id is not None else [])]
        if not people:
            raise InvalidPayload("whom?", field="userId")
        members.add(session.user_id, conversation, *(from_wire(person, UserId) for person in people))
        return answer(seen_by(session, conversation))


class Member(APIView):
    @described(takes=bodies.MemberChange, answers=ConversationObject)
    def patch(self, request: Request, conversation_id: str, user_id: str) -> HttpResponse:
        """Set your preferences in a conversation (mute, pin, archive, marked unread, draft), or a member's role as an admin."""
        session, conversation, whom = (
            session_of(request),
            from_wire(conversation_id, ConversationId),
            from_wire(user_id, UserId),
        )
        user = session.user_id
        wanted = fields_set(body(request, bodies.MemberChange))
        role = wanted.pop("role", None)
        if wanted and whom != user:
            access.member_of(user, conversation)
            raise Forbidden("this is theirs to set")
        if role is not None:
            members.set_role(user, conversation, whom, role)
        if wanted:
            preferences.change(user, conversation, wanted)
        return answer(seen_by(session, conversation))

    @described(status=204)
    def delete(self, request: Request, conversation_id: str, user_id: str) -> HttpResponse:
        """Remove a member as an admin, or leave."""
        members.remove(
            session_of(request).user_id, from_wire(conversation_id, ConversationId), from_wire(user_id, UserId)
        )
        return HttpResponse(status=204)
