"""The bodies of the routes of files (protocol, REST: Files)."""

from typing import Annotated

from msgspec import Meta

from chat.frames import WireId
from gateway.frames import Frame


class NewAttachment(Frame, frozen=True):
    """`POST /attachments`, as JSON: a resumable upload; `replaces` names an expired file of one's own message."""

    name: Annotated[str, Meta(max_length=1000)]
    size: Annotated[int, Meta(ge=1, le=2**62)]
    mime_type: Annotated[str, Meta(max_length=127)] = "application/octet-stream"
    replaces: WireId | None = None


class AttachmentObject(Frame, frozen=True):
    """A file as messages list it, and how far its upload is: `received` bytes of `size`, in pieces of `chunkSize`."""

    id: str
    name: str
    size: int
    mime_type: str
    status: str
    width: int | None
    height: int | None
    url: str | None
    thumbnail_url: str | None
    received: int
    chunk_size: int
    created_at: str
