"""The one way to another user. Missing, disabled and unconfirmed users and those that block the viewer are not found."""

from dataclasses import dataclass

from accounts.models import User
from gateway.errors import NotFound
from gateway.ids import UserId


@dataclass(frozen=True)
class Person:
    """The part of a user that other users may see."""

    id: UserId
    display_name: str
    avatar_url: str


def get_person(viewer_id: UserId, user_id: UserId) -> Person:
    """Return another user, or the viewer.

    Raises NotFound, the same for a missing user and for one that blocks the viewer (F230).
    """
    user = (
        User.objects.filter(pk=user_id, is_active=True, confirmed_at__isnull=False)
        .exclude(blocks__blocked_id=viewer_id)
        .only("display_name", "avatar_url")
        .first()
    )
    if user is None:
        raise NotFound
    return Person(UserId(user.pk), user.display_name, user.avatar_url)
