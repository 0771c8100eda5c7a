"""The one door to other people: who does not exist, is disabled, or has blocked the viewer is not there."""

from dataclasses import dataclass

from accounts.models import User
from gateway.errors import NotFound


@dataclass(frozen=True)
class Person:
    """What others may know of a user."""

    id: int
    display_name: str
    avatar_url: str


def get_person(viewer_id: int, user_id: int) -> Person:
    """Return another user, or the viewer. Raises NotFound, alike for nobody and for who has blocked the viewer (F230)."""
    user = (
        User.objects.filter(pk=user_id, is_active=True)
        .exclude(blocks__blocked_id=viewer_id)
        .values_list("id", "display_name", "avatar_url")
        .first()
    )
    if user is None:
        raise NotFound
    return Person(*user)
