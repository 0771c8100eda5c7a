"""A web process that a test may kill."""

from django.conf import settings

from tests.servers import start


class Mortal:
    """A server that can be killed and comes back at the same address."""

    def __init__(self) -> None:
        self._server = start(settings.DATABASES["default"]["NAME"])
        self.url = self._server.url

    def kill(self) -> None:
        """End the web process as a crash would."""
        self._server.kill()
        self._server.log.unlink()

    def start(self) -> None:
        self._server = start(settings.DATABASES["default"]["NAME"], port=self._server.port)
