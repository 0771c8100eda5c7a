"""Who is here and who is typing: Redis and memory only, never the database."""
