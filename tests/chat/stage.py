"""The people and things of the access matrix: one of each standing towards a conversation, and ids of every kind."""

from typing import Any, NamedTuple

from accounts import blocks, contacts, devices
from accounts.models import User
from chat.conversations import conversations, members
from chat.messages import deletions
from chat.teams import channels, teams
from tests.chat.uploads import ready
from tests.factories import Someone, another_device, direct, draft, group, say, someone, store

UNKNOWN, MALFORMED = "1", "no-id"


class Stage(NamedTuple):
    """A group with its owner, an admin, a member, and one who has left; a direct chat in which the member blocks the
    other; a group that was dissolved."""

    people: dict[str, Someone | None]
    ids: dict[str, str]


def stage() -> Stage:
    """Build it anew, with nobody who is known elsewhere."""
    owner, admin, member, former, stranger, blocked = (someone(name) for name in ("O", "A", "M", "F", "S", "B"))
    chat, closed = group(owner, member, former), direct(member, blocked)
    members.add(owner.id, chat, admin.id)
    members.set_role(owner.id, chat, admin.id, "admin")
    dissolved = group(owner, member)
    ended = say(member, dissolved, "before its end")
    conversations.dissolve(owner.id, dissolved)
    early = say(member, chat, "early")
    members.remove(owner.id, chat, former.id)
    late = say(member, chat, "late")
    deleted = say(member, chat, "deleted")
    deletions.delete(member.id, deleted.id)
    data = {"question": "When?", "options": ["now", "later"]}
    (poll,) = store([draft(member, chat, "", content_type="poll", data=data)])
    loose, file, buried = (ready(member) for _ in range(3))
    store([draft(member, chat, "a file", attachments=[str(file.id)])])
    (burial,) = store([draft(member, chat, "gone with its file", attachments=[str(buried.id)])])
    deletions.delete(member.id, burial.id)
    open_message = say(member, closed, "before the block")
    blocks.block(member.id, blocked.id)
    hidden = say(blocked, closed, "never seen")
    gone, extra = someone("gone"), someone("extra")
    team = teams.create(owner.id, "Team")
    teams.add(owner.id, team, member.id, admin.id)
    teams.set_role(owner.id, team, admin.id, "admin")
    public, private = (
        channels.create(owner.id, team, kind="channel", name="Channel", private=private).id for private in (False, True)
    )
    revoked = another_device(member)
    devices.revoke(member.id, revoked.device_id)
    contacts.add(member.id, extra.id)
    contacts.add(member.id, gone.id)
    User.objects.filter(id=gone.id).update(is_active=False)
    return Stage(
        people={"anonymous": None, "owner": owner, "admin": admin, "member": member, "former": former, "stranger": stranger, "blocked": blocked},
        ids={
            "chat": str(chat), "closed": str(closed), "dissolved": str(dissolved), "ended": str(ended.id), "early": str(early.id), "late": str(late.id),
            "deleted": str(deleted.id), "poll": str(poll.id), "before": str(open_message.id), "hidden": str(hidden.id), "unknown": UNKNOWN, "malformed": MALFORMED,
            "owner": str(owner.id), "admin": str(admin.id), "member": str(member.id), "former": str(former.id), "stranger": str(stranger.id),
            "blocked": str(blocked.id), "gone": str(gone.id), "extra": str(extra.id),
            "file": str(file.id), "loose": str(loose.id), "buried": str(buried.id),
            "team": str(team), "public": public, "private": private,
            "device": str(member.device_id), "revoked": str(revoked.device_id), "theirs": str(owner.device_id),
        },
    )  # fmt: skip


def filled(shape: Any, **ids: str) -> Any:
    """Return a body or payload with the ids in the place of their names in braces."""
    if isinstance(shape, str):
        return shape.format(**ids)
    if isinstance(shape, dict):
        return {filled(key, **ids): filled(value, **ids) for key, value in shape.items()}
    if isinstance(shape, list):
        return [filled(value, **ids) for value in shape]
    return shape
