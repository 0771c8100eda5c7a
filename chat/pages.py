"""The web app's pages: read once, rendered as HTML that stands by itself, and handed to the modules as JSON.

Knows no rule of chat; what the pages show comes from `chat/conversations/queries.py` and `chat/messages/history.py`.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

import msgspec
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import ensure_csrf_cookie

from accounts import sessions
from accounts.devices import Revoked
from accounts.models import User
from chat import read_state
from chat.conversations import queries
from chat.frames import ConversationObject
from chat.messages import feed, history
from chat.refusals import NotAMember
from gateway.frames import Viewer
from gateway.ids import ConversationId, DeviceId, UserId

View = Callable[..., HttpResponse]
PAGE = 50


def signed_in(view: View) -> View:
    """Wrap a page so that it needs a sign-in on a device that is not signed out; the page gets the device's id."""

    @wraps(view)
    def page(request: HttpRequest, **place: Any) -> HttpResponse:
        agent = request.headers.get("User-Agent", "")
        try:
            device = sessions.get_or_create_device(request.session, cast(User, request.user), user_agent=agent)
        except Revoked:
            return redirect(settings.LOGIN_URL)
        return view(request, device.pk, **place)

    return cast(View, login_required(ensure_csrf_cookie(page)))


@signed_in
def home(request: HttpRequest, device: DeviceId) -> HttpResponse:
    """Show the list; a wide window shows the newest conversation beside it."""
    listed = queries.conversation_list(Viewer(UserId(cast(User, request.user).pk), device))
    newest = listed.conversations[0] if listed.conversations else None
    return _app(request, listed, newest, pane="list")


@signed_in
def conversation(request: HttpRequest, device: DeviceId, conversation_id: ConversationId) -> HttpResponse:
    """Show a conversation beside the list; 404 where the user is no member."""
    viewer = Viewer(UserId(cast(User, request.user).pk), device)
    listed = queries.conversation_list(viewer)
    shown = next((chat for chat in listed.conversations if chat.id == str(conversation_id)), None)
    if shown is None:
        try:
            shown = queries.conversation(viewer, conversation_id)
        except NotAMember:
            raise Http404 from None
    return _app(request, listed, shown, pane="chat")


@signed_in
def account(request: HttpRequest, _device: DeviceId) -> HttpResponse:
    """Show the settings: the devices that are signed in, and the way out."""
    return render(request, "settings.html", {"me": _me(request)})


def _app(request: HttpRequest, listed: queries.Listed, shown: ConversationObject | None, *, pane: str) -> HttpResponse:
    me = _me(request)
    chats = listed.conversations
    if shown and shown.id not in {chat.id for chat in chats}:
        chats = [*chats, shown]
    page = _page(UserId(cast(User, request.user).pk), shown) if shown else None
    state = {
        "me": me,
        "epoch": feed.epoch(),
        "conversations": chats,
        "more": listed.next is not None,
        "chatId": shown.id if shown else None,
        "pane": pane,
        "page": {"messages": page.messages, "hasMore": page.has_more} if page else None,
    }
    context = {
        "me": me,
        "pane": pane,
        "chats": [_item(c, me["id"], shown) for c in chats],
        "total_unread": sum(chat.unread_count for chat in chats),
        "open": shown,
        "open_title": _title(shown, me["id"]) if shown else "",
        "open_tone": _tone(shown, me["id"]) if shown else "",
        "page": page,
        "max_content_chars": settings.LIMITS.max_content_chars,
        "state": msgspec.to_builtins(state),
    }
    return render(request, "chat/page.html", context)


def _page(viewer: UserId, shown: ConversationObject) -> history.Page:
    state = read_state.ticks(shown.members, viewer)
    return history.page_before(viewer, ConversationId(int(shown.id)), before=None, limit=PAGE, state=state)


def _me(request: HttpRequest) -> dict[str, str]:
    user = cast(User, request.user)
    return {"id": str(user.pk), "display_name": user.display_name}


def _item(chat: ConversationObject, me: str, shown: ConversationObject | None) -> dict[str, Any]:
    current = shown is not None and chat.id == shown.id
    return {"chat": chat, "title": _title(chat, me), "tone": _tone(chat, me), "current": current}


def _title(chat: ConversationObject, me: str) -> str:
    """A direct conversation is called after the other person."""
    return chat.name or next((m.display_name for m in chat.members if m.user_id != me), "Only you")


def _tone(chat: ConversationObject, me: str) -> str:
    """Return the id that colours the avatar: a person looks the same everywhere."""
    people = [m.user_id for m in chat.members if m.user_id != me] if chat.kind == "direct" else []
    return people[0] if people else chat.id
