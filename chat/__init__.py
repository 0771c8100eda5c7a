"""Conversations, members and messages: how they are stored, read and synchronised."""
