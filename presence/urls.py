"""The REST routes of presence, below /api/v1/."""

from django.urls import path

from presence import views

urlpatterns = [
    path("presence", views.Presence.as_view()),
    path("conversations/<str:conversation_id>/typing", views.ConversationTyping.as_view()),
    path("messages/<str:message_id>/typing", views.MessageTyping.as_view()),
]
