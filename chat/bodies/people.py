"""The bodies of the directory."""

from accounts.bodies import SomePerson
from gateway.paging import Listing


class FoundPerson(SomePerson, frozen=True):
    """A person in the directory; `email` is null unless you share a team or are contacts of each other (F196)."""

    email: str | None


class PeoplePage(Listing[FoundPerson], frozen=True):
    """A page of the directory."""
