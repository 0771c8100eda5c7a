"""The REST routes of receipts, below /api/v1/."""

from django.urls import path

from receipts import receipt_views, views

urlpatterns = [
    path("conversations/<str:conversation_id>/read", views.ConversationRead.as_view()),
    path("messages/<str:message_id>/delivered", views.MessageDelivered.as_view()),
    path("messages/<str:message_id>/seen", views.MessageSeen.as_view()),
    path("messages/<str:message_id>/read", views.MessageSeen.as_view()),
    path("messages/<str:message_id>/receipts", receipt_views.MessageReceipts.as_view()),
    path("messages/<str:message_id>/delivery-state", receipt_views.MessageDeliveryState.as_view()),
    path("messages/<str:message_id>/trace", receipt_views.MessageTrace.as_view()),
    path("conversations/<str:conversation_id>/receipts", receipt_views.ConversationReceipts.as_view()),
]
