"""The REST routes of teams and their channels: protocol 3, each in, one call, out."""

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.authentication import session_of
from accounts.ids import from_wire
from chat.bodies import teams as bodies
from chat.conversations import queries
from chat.frames import ConversationObject, wire_time
from chat.ids import TeamId
from chat.teams import channels, teams
from gateway.errors import InvalidPayload
from gateway.http import answer, body, fields_set
from gateway.ids import ConversationId, UserId
from gateway.paging import cursor_of, listing, write_cursor
from gateway.schema import described


class Teams(APIView):
    @described(answers=bodies.Teams)
    def get(self, request: Request) -> HttpResponse:
        """List your teams."""
        return answer(listing(bodies.Teams, map(_seen, teams.listed(session_of(request).user_id)), None))

    @described(takes=bodies.NewTeam, answers=bodies.TeamObject, status=201)
    def post(self, request: Request) -> HttpResponse:
        """Create a team; you own it."""
        user, wanted = session_of(request).user_id, body(request, bodies.NewTeam)
        made = teams.create(user, wanted.name, wanted.description)
        return answer(_seen(teams.team(user, made)), status=201)


class Team(APIView):
    @described(answers=bodies.TeamObject)
    def get(self, request: Request, team_id: str) -> HttpResponse:
        """Return one of your teams."""
        return answer(_seen(teams.team(session_of(request).user_id, from_wire(team_id, TeamId))))

    @described(takes=bodies.TeamChange, answers=bodies.TeamObject)
    def patch(self, request: Request, team_id: str) -> HttpResponse:
        """Change name or description, as an admin of the team."""
        user, team = session_of(request).user_id, from_wire(team_id, TeamId)
        teams.change(user, team, fields_set(body(request, bodies.TeamChange)))
        return answer(_seen(teams.team(user, team)))

    @described(status=204)
    def delete(self, request: Request, team_id: str) -> HttpResponse:
        """Dissolve a team and its channels, as its owner."""
        teams.dissolve(session_of(request).user_id, from_wire(team_id, TeamId))
        return HttpResponse(status=204)


class TeamMembers(APIView):
    @described(answers=bodies.TeamMembers, query={"cursor": str})
    def get(self, request: Request, team_id: str) -> HttpResponse:
        """List a team's members, 100 a page."""
        after = cursor_of(request, int) or 0
        page, following = teams.people(session_of(request).user_id, from_wire(team_id, TeamId), after=after)
        results = [
            bodies.TeamMemberObject(user_id=str(p.user_id), display_name=p.display_name, role=p.role) for p in page
        ]
        return answer(listing(bodies.TeamMembers, results, write_cursor(following)))

    @described(takes=bodies.NewTeamMembers, answers=bodies.TeamObject)
    def post(self, request: Request, team_id: str) -> HttpResponse:
        """Bring a person (`userId`) or several (`userIds`) into a team, as an admin of it."""
        user, team, wanted = (
            session_of(request).user_id,
            from_wire(team_id, TeamId),
            body(request, bodies.NewTeamMembers),
        )
        people = [*wanted.user_ids, *([wanted.user_id] if wanted.user_id is not None else [])]
        if not people:
            raise InvalidPayload("whom?", field="userId")
        teams.add(user, team, *(from_wire(person, UserId) for person in people))
        return answer(_seen(teams.team(user, team)))


class TeamMember(APIView):
    @described(takes=bodies.TeamRole, status=204)
    def patch(self, request: Request, team_id: str, user_id: str) -> HttpResponse:
        """Promote, demote, or hand the team over."""
        role = body(request, bodies.TeamRole).role
        teams.set_role(session_of(request).user_id, from_wire(team_id, TeamId), from_wire(user_id, UserId), role)
        return HttpResponse(status=204)

    @described(status=204)
    def delete(self, request: Request, team_id: str, user_id: str) -> HttpResponse:
        """Take somebody out of the team and its channels as an admin, or leave."""
        teams.remove(session_of(request).user_id, from_wire(team_id, TeamId), from_wire(user_id, UserId))
        return HttpResponse(status=204)


class TeamChannels(APIView):
    @described(answers=bodies.Channels, query={"cursor": str})
    def get(self, request: Request, team_id: str) -> HttpResponse:
        """List a team's channels and broadcasts: the public ones, and private ones that you are in."""
        after = cursor_of(request, int) or 0
        page, following = channels.listed(session_of(request).user_id, from_wire(team_id, TeamId), after=after)
        results = [bodies.ChannelObject(**{**channel._asdict(), "id": str(channel.id)}) for channel in page]
        return answer(listing(bodies.Channels, results, write_cursor(following)))

    @described(takes=bodies.NewChannel, answers=ConversationObject, status=201)
    def post(self, request: Request, team_id: str) -> HttpResponse:
        """Create a channel, as a member of the team, or a broadcast, as an admin of it."""
        wanted = body(request, bodies.NewChannel)
        if wanted.kind not in channels.KINDS:
            raise InvalidPayload("channel or broadcast", field="kind")
        made = channels.create(
            session_of(request).user_id,
            from_wire(team_id, TeamId),
            kind=wanted.kind,
            name=wanted.name,
            topic=wanted.topic,
            private=wanted.private,
            member_ids=[from_wire(person, UserId) for person in wanted.member_ids],
        )
        return answer(made, status=201)


class Join(APIView):
    @described(answers=ConversationObject)
    def post(self, request: Request, conversation_id: str) -> HttpResponse:
        """Join a public channel or broadcast of one of your teams."""
        session, channel = session_of(request), from_wire(conversation_id, ConversationId)
        channels.join(session.user_id, channel)
        return answer(queries.conversation(session.viewer, channel))


def _seen(team: teams.TeamSeen) -> bodies.TeamObject:
    return bodies.TeamObject(
        id=str(team.id),
        name=team.name,
        description=team.description,
        role=team.role,
        member_count=team.member_count,
        created_at=wire_time(team.created_at) or "",
    )
