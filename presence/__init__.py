"""Presence and typing: kept in Redis and memory alone, never in tables of their own."""
