"""The REST routes of chat, below /api/v1/."""

from django.urls import path

from chat.views import conversation_messages, conversations, files, messages, people, sync, teams

urlpatterns = [
    path("conversations", conversations.Conversations.as_view()),
    path("conversations/<str:conversation_id>", conversations.Conversation.as_view()),
    path("conversations/<str:conversation_id>/join", teams.Join.as_view()),
    path("conversations/<str:conversation_id>/members", conversations.Members.as_view()),
    path("conversations/<str:conversation_id>/members/<str:user_id>", conversations.Member.as_view()),
    path("conversations/<str:conversation_id>/messages", conversation_messages.ConversationMessages.as_view()),
    path("conversations/<str:conversation_id>/backfill", conversation_messages.Backfill.as_view()),
    path("messages/conversation/<str:conversation_id>/backfill", conversation_messages.Backfill.as_view()),
    path("messages", conversation_messages.Messages.as_view()),
    path("messages/<str:message_id>", messages.OneMessage.as_view()),
    path("messages/<str:message_id>/versions", messages.Versions.as_view()),
    path("messages/<str:message_id>/reactions", messages.Reactions.as_view()),
    path("messages/<str:message_id>/reactions/<str:emoji>", messages.Reaction.as_view()),
    path("messages/<str:message_id>/vote", messages.Vote.as_view()),
    path("messages/<str:message_id>/close", messages.Close.as_view()),
    path("messages/<str:message_id>/votes", messages.Votes.as_view()),
    path("messages/<str:message_id>/replies", messages.Replies.as_view()),
    path("messages/<str:message_id>/replies/read", messages.RepliesRead.as_view()),
    path("conversations/<str:conversation_id>/threads", messages.Threads.as_view()),
    path("attachments", files.Attachments.as_view()),
    path("attachments/<str:attachment_id>", files.OneAttachment.as_view()),
    path("attachments/<str:attachment_id>/content", files.Content.as_view()),
    path("teams", teams.Teams.as_view()),
    path("teams/<str:team_id>", teams.Team.as_view()),
    path("teams/<str:team_id>/members", teams.TeamMembers.as_view()),
    path("teams/<str:team_id>/members/<str:user_id>", teams.TeamMember.as_view()),
    path("teams/<str:team_id>/channels", teams.TeamChannels.as_view()),
    path("users", people.People.as_view()),
    path("sync", sync.Sync.as_view()),
    path("me/unread", conversation_messages.Unread.as_view()),
]
