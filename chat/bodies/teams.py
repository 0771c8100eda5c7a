"""The bodies of the REST routes of teams and their channels (protocol 3)."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from chat.frames import WireId
from gateway.frames import Frame
from gateway.paging import Listing


class NewTeam(Frame, frozen=True):
    """`POST /teams`."""

    name: str
    description: str = ""


class TeamChange(Frame, frozen=True):
    """`PATCH /teams/{id}`: the fields that are present are changed."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET


class NewTeamMembers(Frame, frozen=True):
    """`POST /teams/{id}/members`: one or many."""

    user_id: WireId | None = None
    user_ids: Annotated[list[WireId], Meta(max_length=1000)] = []


class TeamRole(Frame, frozen=True):
    """`PATCH /teams/{id}/members/{userId}`."""

    role: str


class NewChannel(Frame, frozen=True):
    """`POST /teams/{id}/channels`; `kind` is `channel` or `broadcast`."""

    name: str
    kind: str = "channel"
    topic: str = ""
    private: bool = False
    member_ids: Annotated[list[WireId], Meta(max_length=10_000)] = []


class TeamObject(Frame, frozen=True):
    """A team as its member sees it; `role` is the viewer's."""

    id: str
    name: str
    description: str
    role: str
    member_count: int
    created_at: str


class Teams(Listing[TeamObject], frozen=True):
    """The viewer's teams."""


class TeamMemberObject(Frame, frozen=True):
    """Somebody in a team."""

    user_id: str
    display_name: str
    role: str


class TeamMembers(Listing[TeamMemberObject], frozen=True):
    """A page of a team's members."""


class ChannelObject(Frame, frozen=True):
    """A channel or broadcast as its team sees it: `joined` says whether the viewer is in it."""

    id: str
    kind: str
    name: str
    topic: str
    private: bool
    member_count: int
    joined: bool


class Channels(Listing[ChannelObject], frozen=True):
    """A page of a team's channels that the viewer may know of."""
