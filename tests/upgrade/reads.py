"""What is read of a build: every GET route of its OpenAPI document for each viewer, `/sync` and backfills, whole pages on."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from tests.upgrade.api import BASE, Answer, Api

ROUNDS = 60  # pages of a list and answers of a sync, at most
# Of a conversation's messages that look alike in these fields, the routes of one message are asked for two.
LOOKS = ("attachments", "reactions", "mentions", "replyTo", "threadId", "replyCount", "editedAt", "deletedBy")
# Signed links alone open it: `bytes` reads follow them.
BY_LINK = "/attachments/{attachment_id}/content"


class Read(NamedTuple):
    """One read of one viewer; `follow` names the field of a signed link that is fetched instead of its object."""

    viewer: str
    verb: str
    path: str
    body: str = ""
    follow: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.viewer, self.verb, self.path, self.follow, self.body) if part)


Snapshot = dict[str, Any]


def routes(schema: Mapping[str, Any]) -> set[str]:
    """Return each verb and path of an OpenAPI document, whatever its parameters are called."""
    verbs = ("get", "post", "put", "patch", "delete")
    return {f"{verb.upper()} {re.sub('{[^}]*}', '{}', path)}" for path, all_ in schema["paths"].items() for verb in all_ if verb in verbs}  # fmt: skip


def plan(viewers: Mapping[str, Api], schema: Mapping[str, Any]) -> list[Read]:
    """Return all reads, with ids that any viewer's listings know: what one may not see is asked for as well.

    Raises KeyError for a parameter whose ids come from no listing: add it to `_ids`.
    """
    chats = {name: _conversations(api) for name, api in viewers.items()}
    ids = _ids(viewers, chats)
    reads = []
    for path in sorted(schema["paths"]):
        route = path.removeprefix(BASE)
        if path.startswith(BASE) and "get" in schema["paths"][path] and route != BY_LINK:
            addresses = list(_addresses(route, ids))
            reads += [Read(name, "GET", address) for name in viewers for address in addresses]
    for name in viewers:
        reads += [Read(name, "BYTES", f"/attachments/{id_}", follow=field) for id_ in ids["attachment_id"] for field in ("url", "thumbnailUrl")]  # fmt: skip
        bodies: list[tuple[str, Any]] = [
            (f"/conversations/{chat}/backfill", {"after": 10, "limit": 50}) for chat in ids["conversation_id"]
        ]
        bodies += [("/sync", {}), *(("/sync", {"chats": watermarks}) for watermarks in _watermarks(chats[name]))]
        reads += [Read(name, "POST", address, json.dumps(body)) for address, body in bodies]
    return reads


def snapshot(viewers: Mapping[str, Api], reads: list[Read]) -> Snapshot:
    """Make all reads and return what was answered, by the read's text."""
    return {str(read): _answer(viewers[read.viewer], read) for read in reads}


def _conversations(api: Api) -> list[dict[str, Any]]:
    addresses = ("/conversations?limit=100", "/conversations?archived=true&limit=100")
    return [chat for address in addresses for chat in _listed(api, address)["body"]["results"]]


def _ids(viewers: Mapping[str, Api], chats: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    """Return the ids for each parameter of a path, of all viewers' listings together."""
    ids: dict[str, set[str]] = {
        f"{name}_id": set() for name in ("conversation", "message", "attachment", "team", "user")
    }
    known: dict[str, dict[str, dict[str, Any]]] = {}
    for name, api in viewers.items():
        ids["user_id"].add(api.call("GET", "/me")["id"])
        ids["team_id"] |= {team["id"] for team in _listed(api, "/teams")["body"]["results"]}
        for chat in chats[name]:
            ids["conversation_id"].add(chat["id"])
            ids["user_id"] |= {member["userId"] for member in chat["members"]}
            messages = _listed(api, f"/conversations/{chat['id']}/messages?limit=500")["body"]["results"]
            known.setdefault(chat["id"], {}).update({message["id"]: message for message in messages})
            ids["attachment_id"] |= {file["id"] for message in messages for file in message["attachments"]}
    ids["message_id"] = {id_ for messages in known.values() for id_ in _samples(messages.values())}
    return {name: sorted(values, key=int) for name, values in ids.items()}


def _samples(messages: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Return the ids of a few messages of each kind, the first and the last of a kind."""
    kinds: dict[tuple[Any, ...], list[str]] = {}
    for message in sorted(messages, key=lambda message: int(message["seq"])):
        look = (message["contentType"], *(bool(message.get(field)) for field in LOOKS))
        kinds.setdefault(look, []).append(message["id"])
    for alike in kinds.values():
        yield from {alike[0], alike[-1]}


def _addresses(route: str, ids: Mapping[str, list[str]]) -> Iterator[str]:
    """Return the addresses of a route with all ids, and with each way to ask that it has."""
    if parameter := re.search(r"{(\w+)}", route):
        for id_ in ids[parameter[1]]:
            for query in _queries(route, ids):
                yield route.replace(parameter[0], id_) + query
    else:
        yield from (route + query for query in _queries(route, ids))


def _queries(route: str, ids: Mapping[str, list[str]]) -> list[str]:
    match route:
        case "/conversations":
            return ["?limit=3", "?archived=true"]
        case "/conversations/{conversation_id}/messages":
            return ["?limit=500", "?before=40&limit=20", "?after=40&limit=20", "?around=40&limit=20"]
        case "/messages":
            return [f"?chatId={chat}&after=0&limit=20" for chat in ids["conversation_id"]]
        case "/messages/{message_id}/reactions":
            return ["", f"?emoji={quote('👍')}&limit=1"]
        case "/messages/{message_id}/trace":
            return ["", "?reason=upgrade-check"]
        case "/presence":
            return [f"?ids={','.join(ids['user_id'])}"]
        case "/users":
            return ["?q=a", "?q=bob%40"]
    return [""]


def _watermarks(chats: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Return watermarks of nothing, of half, of a little ago and of now, for all chats at once."""
    for of in (lambda n: 0, lambda n: n // 2, lambda n: max(n - 300, 0), lambda n: max(n - 5, 0), lambda n: n):
        yield {chat["id"]: {"seq": of(chat["seq"]), "rev": of(chat["rev"])} for chat in chats}


def _answer(api: Api, read: Read) -> Any:
    if read.follow:
        link = _listed(api, read.path)["body"].get(read.follow)
        return _bytes(Api(api.port).ask("GET", link)) if link else None
    if read.path == "/sync":
        return _synchronised(api, json.loads(read.body))
    if read.verb == "POST":
        return _plain(api.ask("POST", BASE + read.path, json.loads(read.body)))
    return _listed(api, read.path)


def _listed(api: Api, address: str) -> dict[str, Any]:
    """Return an answer; of a list all its pages in one, unless the address asks for a certain part."""
    whole = _plain(api.ask("GET", BASE + address))
    page, part = whole["body"], re.search(r"[?&](before|after|around|chatId)=", address)
    for _ in range(ROUNDS):
        if part or whole["status"] != 200 or not isinstance(page, dict) or not page.get("nextCursor"):
            return whole
        cursor = urlencode({"cursor": page["nextCursor"]})
        page = api.call("GET", f"{address}{'&' if '?' in address else '?'}{cursor}")
        whole["body"] = {**page, "results": [*whole["body"]["results"], *page["results"]]}
    raise AssertionError(f"{address} has more than {ROUNDS} pages")


def _synchronised(api: Api, body: dict[str, Any]) -> list[Any]:
    """Return the answers of a sync that goes on until nothing is left, as a client does it."""
    answers = []
    for _ in range(ROUNDS):
        answers.append(_plain(api.ask("POST", f"{BASE}/sync", body)))
        page = answers[-1]["body"]
        if not page.get("hasMore") and not any(chat["hasMore"] for chat in page.get("chats", ())):
            return answers
        news = {chat["chatId"]: {"seq": chat["seq"], "rev": chat["rev"]} for chat in page["chats"]}
        body = {"chats": {**body.get("chats", {}), **news}}
    raise AssertionError(f"a sync has more than {ROUNDS} answers: {body}")


def _plain(answer: Answer) -> dict[str, Any]:
    return _bytes(answer) if isinstance(answer.body, bytes) else {"status": answer.status, "body": answer.body}


def _bytes(answer: Answer) -> dict[str, Any]:
    digest = hashlib.sha256(answer.body).hexdigest() if isinstance(answer.body, bytes) else answer.body
    return {"status": answer.status, "type": answer.content_type, "size": len(answer.body), "body": digest}
