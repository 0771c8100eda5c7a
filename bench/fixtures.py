"""The people and conversations of a run: the request of a scenario, and the result of `bench.populate`."""

import msgspec


class Group(msgspec.Struct):
    """A group of people by their place in `FixtureRequest.names`; the first is its owner."""

    name: str
    members: list[int]


class FixtureRequest(msgspec.Struct):
    """People by name, the pairs of them that have a direct conversation, and groups."""

    names: list[str]
    pairs: list[tuple[int, int]] = []
    groups: list[Group] = []


class Person(msgspec.Struct):
    id: int
    token: str


class Chat(msgspec.Struct):
    """A conversation; `members` are places in `Fixtures.people`."""

    id: int
    seq: int
    rev: int
    members: list[int]


class Fixtures(msgspec.Struct):
    """The people in the order of the request; the conversations of the pairs, then those of the groups."""

    people: list[Person]
    chats: list[Chat]
