"""The REST routes of chat, below /api/v1/."""

from django.urls import path

from chat import attachment_views, conversation_views, message_views, team_views, views

urlpatterns = [
    path("conversations", conversation_views.Conversations.as_view()),
    path("conversations/<str:conversation_id>", conversation_views.Conversation.as_view()),
    path("conversations/<str:conversation_id>/join", team_views.Join.as_view()),
    path("conversations/<str:conversation_id>/members", conversation_views.Members.as_view()),
    path("conversations/<str:conversation_id>/members/<str:user_id>", conversation_views.Member.as_view()),
    path("conversations/<str:conversation_id>/messages", views.ConversationMessages.as_view()),
    path("conversations/<str:conversation_id>/backfill", views.Backfill.as_view()),
    path("messages/conversation/<str:conversation_id>/backfill", views.Backfill.as_view()),
    path("messages", views.Messages.as_view()),
    path("messages/<str:message_id>", message_views.OneMessage.as_view()),
    path("messages/<str:message_id>/versions", message_views.Versions.as_view()),
    path("messages/<str:message_id>/reactions", message_views.Reactions.as_view()),
    path("messages/<str:message_id>/reactions/<str:emoji>", message_views.Reaction.as_view()),
    path("messages/<str:message_id>/vote", message_views.Vote.as_view()),
    path("messages/<str:message_id>/close", message_views.Close.as_view()),
    path("messages/<str:message_id>/votes", message_views.Votes.as_view()),
    path("messages/<str:message_id>/replies", message_views.Replies.as_view()),
    path("messages/<str:message_id>/replies/read", message_views.RepliesRead.as_view()),
    path("conversations/<str:conversation_id>/threads", message_views.Threads.as_view()),
    path("attachments", attachment_views.Attachments.as_view()),
    path("attachments/<str:attachment_id>", attachment_views.OneAttachment.as_view()),
    path("attachments/<str:attachment_id>/content", attachment_views.Content.as_view()),
    path("teams", team_views.Teams.as_view()),
    path("teams/<str:team_id>", team_views.Team.as_view()),
    path("teams/<str:team_id>/members", team_views.TeamMembers.as_view()),
    path("teams/<str:team_id>/members/<str:user_id>", team_views.TeamMember.as_view()),
    path("teams/<str:team_id>/channels", team_views.TeamChannels.as_view()),
    path("me/unread", views.Unread.as_view()),
]
