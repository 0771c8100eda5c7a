"""The depot as a folder: what fails halfway leaves nothing, and is the same failure whatever the storage is."""

import io

import pytest
from django.core.files.base import File
from django.core.files.storage import storages

from chat.files import storage, uploads
from chat.files.storage import StorageUnavailable
from chat.ids import AttachmentId
from chat.models import Attachment
from gateway.errors import Overloaded
from tests.chat.uploads import TEXT, begun, piece, stored, upload
from tests.factories import someone


class FullDisk(io.BytesIO):
    """A source whose second piece finds no room any more."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 0:
            raise OSError(28, "No space left on device")
        return super().read(size)


class Broken:
    """A storage that cannot be reached, and says so in words of its own."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError("no route to the bucket")


def test_failed_save_leaves_no_bytes() -> None:
    key = storage.new_key()
    whole = FullDisk(b"x" * 3 * File.DEFAULT_CHUNK_SIZE)

    with pytest.raises(StorageUnavailable, match="No space left"):
        storage.save(key, whole)

    assert not storages["attachments"].exists(key)


def test_piece_is_refused_as_overloaded_while_storage_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    ada = someone()
    row = begun(ada, len(TEXT))

    with monkeypatch.context() as patch:
        patch.setattr(storage, "storages", {"attachments": Broken()})
        patch.setattr(storage, "local", lambda key: None)
        with pytest.raises(Overloaded) as refused:
            piece(ada, row, TEXT, 0, len(TEXT))
        with pytest.raises(Overloaded):
            upload(ada)

    assert refused.value.retry_after
    assert [each.id for each in Attachment.objects.filter(uploader_id=ada.id)] == [row.id]
    assert piece(ada, row, TEXT, 0, len(TEXT)).status == "scanning"


def test_file_row_is_deleted_even_if_storage_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    ada = someone()
    row = upload(ada)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "storages", {"attachments": Broken()})
        uploads.cancel(ada.id, AttachmentId(row.id))

    assert not Attachment.objects.filter(id=row.id).exists()
    assert stored(row.parts[0]) == TEXT
