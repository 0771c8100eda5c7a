"""Django's sessions in the database, but a cookie that cannot be a key (a NUL in it, say) is no session, not an error."""

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    """`settings.SESSION_ENGINE` names this module; keys are 32 letters and digits."""

    def __init__(self, session_key: str | None = None) -> None:
        well_formed = session_key is not None and session_key.isascii() and session_key.isalnum()
        super().__init__(session_key if well_formed else None)
