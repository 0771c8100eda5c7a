"""The REST routes of accounts, below /api/v1/."""

from django.urls import path

from accounts.views import auth, me, people

urlpatterns = [
    path("auth/register", auth.Register.as_view()),
    path("auth/token", auth.Token.as_view()),
    path("auth/token/refresh", auth.TokenRefresh.as_view()),
    path("auth/logout", auth.Logout.as_view()),
    path("auth/ws-ticket", auth.WsTicket.as_view()),
    path("auth/devices", auth.Devices.as_view()),
    path("auth/devices/<str:device_id>", auth.Device.as_view()),
    path("me", me.Me.as_view()),
    path("me/privacy", me.Privacy.as_view()),
    path("me/blocks", me.Blocks.as_view()),
    path("me/blocks/<str:user_id>", me.Block.as_view()),
    path("me/contacts", me.Contacts.as_view()),
    path("me/contacts/<str:user_id>", me.Contact.as_view()),
    path("users/<str:user_id>", people.Person.as_view()),
]
