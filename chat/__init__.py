"""What is said: conversations, members, messages; how they are stored, found again and kept in step (sync)."""
