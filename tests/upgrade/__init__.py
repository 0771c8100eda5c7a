"""`script/upgrade-check`: a database that an older build filled is migrated in place, and every read gives the same.

Speaks to both builds over HTTP, WebSocket, their commands and SQL alone, so that no renamed module can break it.
"""
