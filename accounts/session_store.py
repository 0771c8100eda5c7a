"""Django's database sessions. A cookie that cannot be a session key (with a NUL, for example) is no session."""

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    """The store of `settings.SESSION_ENGINE`. Session keys are 32 letters and digits."""

    def __init__(self, session_key: str | None = None) -> None:
        well_formed = session_key is not None and session_key.isascii() and session_key.isalnum()
        super().__init__(session_key if well_formed else None)
