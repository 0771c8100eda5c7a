"""The web app's pages, at the root."""

from django.urls import path

from chat import pages

urlpatterns = [
    path("", pages.home, name="home"),
    path("c/<int:conversation_id>/", pages.conversation, name="conversation"),
    path("settings/", pages.account, name="settings"),
]
