"""Files in the browser: chosen, dropped, pasted, uploaded with progress, cancelled, gone on with, and shown."""

import hashlib
import re
from pathlib import Path

import pytest
from django.core.files.storage import storages
from playwright.sync_api import FilePayload, Locator, Page, Route, expect

from chat.files import processing
from chat.models import Attachment
from tests.browser.person import NewPerson, Person
from tests.chat.uploads import png

NOTES = FilePayload(name="notes.txt", mimeType="text/plain", buffer=b"nothing but words\n" * 100)
DROP = """() => {
  const data = new DataTransfer();
  data.items.add(new File(["dropped words"], "dropped.txt", { type: "text/plain" }));
  return data;
}"""
PASTE = """() => {
  const clipboardData = new DataTransfer();
  clipboardData.items.add(new File(["pasted words"], "pasted.txt", { type: "text/plain" }));
  document.querySelector("#text").dispatchEvent(new ClipboardEvent("paste", { clipboardData, cancelable: true, bubbles: true }));
}"""


# Takes a step at a time, each after a break. Nobody waits for the seconds between the tries.
BREAKING_SERVER = """(step) => {
  const state = { received: 0, breaks: 0 };
  window.breakingServer = state;
  const upload = () => ({ id: "1", received: state.received, chunkSize: step });
  const realFetch = window.fetch;
  window.fetch = (address, options) =>
    /\\/attachments(\\/1)?$/.test(address) ? Promise.resolve(Response.json(upload())) : realFetch(address, options);
  window.XMLHttpRequest = class extends EventTarget {
    upload = new EventTarget();
    open() {}
    setRequestHeader() {}
    send(body) {
      const broken = state.breaks === state.received / step;
      if (broken) state.breaks += 1;
      else state.received += body.size;
      Object.assign(this, { status: 200, response: upload() });
      setTimeout(() => this.dispatchEvent(new Event(broken ? "error" : "load")));
    }
  };
  setInterval(() => window.dispatchEvent(new Event("online")), 20);
}"""


def two_in(person: NewPerson) -> tuple[Person, Person, str]:
    ada, grace = person("Ada"), person("Grace")
    chat = ada.direct_with(grace)
    ada.open(f"/c/{chat}/")
    grace.open(f"/c/{chat}/")
    return ada, grace, chat


def uploaded(page: Page, name: str) -> Locator:
    """Wait until a file is uploaded, and return its place beside the composer."""
    item = page.locator("#tray li").filter(has_text=name)
    expect(item).to_be_visible()
    expect(item.locator("progress")).to_be_hidden()
    return item


def test_image_appears_in_its_reserved_space_after_processing(person: NewPerson) -> None:
    ada, grace, _ = two_in(person)
    ada.page.locator("#files").set_input_files(
        [FilePayload(name="green.png", mimeType="image/png", buffer=png(640, 480))]
    )
    uploaded(ada.page, "green.png")
    ada.send("look, *green*")
    expect(grace.message("look, green")).to_contain_text("green.png is being checked…")
    assert processing.process_due(None) > 0
    for who in (ada, grace):
        picture = who.message("look, green").get_by_role("img", name="green.png")
        expect(picture).to_have_js_property("complete", True)
        expect(picture).to_have_attribute("width", "320")
        expect(picture).to_have_attribute("height", "240")
        assert picture.evaluate("(image) => image.naturalWidth") > 0


def test_image_processed_before_sending_is_shown_to_its_sender(person: NewPerson) -> None:
    ada, _, _ = two_in(person)
    ada.page.locator("#files").set_input_files([FilePayload(name="green.png", mimeType="image/png", buffer=png())])
    uploaded(ada.page, "green.png")
    assert processing.process_due(None) > 0
    ada.send("early")
    expect(ada.message("early").get_by_role("img", name="green.png")).to_be_visible()


def test_file_is_sent_without_text_and_downloaded(person: NewPerson) -> None:
    ada, grace, _ = two_in(person)
    ada.page.locator("#files").set_input_files([NOTES])
    uploaded(ada.page, "notes.txt")
    ada.page.get_by_role("button", name="Send", exact=True).click()
    expect(ada.page.locator("#tray")).to_be_hidden()
    expect(grace.item(ada.name)).to_contain_text("notes.txt")
    assert processing.process_due(None) > 0
    link = grace.log.get_by_role("link", name="notes.txt")
    with grace.page.expect_download() as download:
        link.click()
    assert Path(download.value.path()).read_bytes() == NOTES["buffer"]


def test_files_are_dropped_and_pasted(person: NewPerson) -> None:
    ada, _, _ = two_in(person)
    data = ada.page.evaluate_handle(DROP)
    ada.page.dispatch_event(".view", "dragover", {"dataTransfer": data})
    expect(ada.page.locator(".view[data-drop]")).to_be_visible()
    ada.page.dispatch_event(".view", "drop", {"dataTransfer": data})
    uploaded(ada.page, "dropped.txt")
    ada.page.evaluate(PASTE)
    uploaded(ada.page, "pasted.txt")
    expect(ada.page.locator("#tray li")).to_have_count(2)


def test_upload_shows_progress_blocks_its_message_and_can_be_cancelled(person: NewPerson) -> None:
    ada, _, _ = two_in(person)
    held: list[Route] = []
    ada.page.route("**/api/v1/attachments", lambda route: held.append(route))
    ada.page.locator("#files").set_input_files([NOTES])
    expect(ada.page.get_by_role("progressbar", name="Upload of notes.txt")).to_be_visible()
    ada.send("not yet")
    expect(ada.message("not yet")).to_have_count(0)
    ada.page.get_by_role("button", name="Remove notes.txt").click()
    expect(ada.page.locator("#tray")).to_be_hidden()
    ada.page.get_by_label("Message", exact=True).press("Enter")
    expect(ada.message("not yet")).to_be_visible()


def asks_the_server(page: Page) -> None:
    """Return once the page has been answered: whatever it had to send before is sent by then."""
    assert page.evaluate("fetch('/api/v1/contract').then(({ ok }) => ok)")


def test_cancelled_waiting_upload_is_not_restarted(person: NewPerson) -> None:
    ada, _, _ = two_in(person)
    tries: list[str] = []

    def refuse(route: Route) -> None:
        tries.append(route.request.method)
        route.abort()

    ada.page.route("**/api/v1/attachments", refuse)
    ada.page.locator("#files").set_input_files([NOTES])
    expect(ada.page.locator("#tray li")).to_contain_text("waiting for the connection")

    ada.page.get_by_role("button", name="Remove notes.txt").click()
    ada.page.evaluate("window.dispatchEvent(new Event('online'))")
    asks_the_server(ada.page)

    assert tries == ["POST"]


def test_large_upload_cancelled_at_its_start_sends_no_byte(person: NewPerson, tmp_path: Path) -> None:
    ada, _, _ = two_in(person)
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(range(256)) * 43_000)
    held: list[Route] = []
    pieces: list[str] = []
    ada.page.route("**/api/v1/attachments", lambda route: held.append(route))

    def note(route: Route) -> None:
        pieces.append(route.request.url)
        route.continue_()

    ada.page.route("**/attachments/*/content", note)
    with ada.page.expect_request("**/api/v1/attachments"):
        ada.page.locator("#files").set_input_files(large)
    ada.page.get_by_role("button", name="Remove large.bin").click()

    with ada.page.expect_response("**/api/v1/attachments"):
        held[0].continue_()
    asks_the_server(ada.page)

    assert pieces == []


def test_upload_continues_after_any_number_of_breaks_that_make_progress(person: NewPerson, tmp_path: Path) -> None:
    """The stand-in for the server stands in the page: 75 requests by way of Playwright took longer than any one wait."""
    ada, _, _ = two_in(person)
    large, step = tmp_path / "large.bin", 1_000_000
    large.write_bytes(bytes(25 * step))
    ada.page.evaluate(BREAKING_SERVER, step)

    ada.page.locator("#files").set_input_files(large)

    uploaded(ada.page, "large.bin")
    assert ada.page.evaluate("window.breakingServer") == {"received": 25 * step, "breaks": 25}


def test_large_file_is_uploaded_in_chunks_and_continues_after_a_break(person: NewPerson, tmp_path: Path) -> None:
    ada, _, _ = two_in(person)
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(range(256)) * 43_000)
    broken: list[str] = []

    def break_once(route: Route) -> None:
        if route.request.headers["content-range"].startswith("bytes 4194304-") and not broken:
            broken.append(route.request.url)
            route.abort("connectionreset")
        else:
            route.continue_()

    ada.page.route("**/attachments/*/content", break_once)
    ada.page.locator("#files").set_input_files(large)
    uploaded(ada.page, "large.bin")
    assert len(broken) == 1
    row = Attachment.objects.get(id=int(broken[0].split("/")[-2]))
    assert (row.received, row.size) == (large.stat().st_size, large.stat().st_size)
    whole = b"".join(storages["attachments"].open(part).read() for part in row.parts)
    assert hashlib.sha256(whole).digest() == hashlib.sha256(large.read_bytes()).digest()


def test_expired_file_link_is_renewed(person: NewPerson) -> None:
    ada, _, _ = two_in(person)
    ada.page.locator("#files").set_input_files(
        [NOTES, FilePayload(name="green.png", mimeType="image/png", buffer=png())]
    )
    for name in ("notes.txt", "green.png"):
        uploaded(ada.page, name)
    assert processing.process_due(None) > 0
    ada.send("both")
    picture = ada.message("both").get_by_role("img", name="green.png")
    link = ada.message("both").get_by_role("link", name="notes.txt")
    expect(picture).to_have_js_property("complete", True)

    picture.evaluate("(image) => { image.src = image.src.replace(/until=[0-9]+/, 'until=1'); }")
    link.evaluate("(link) => { link.href = link.href.replace(/until=[0-9]+/, 'until=1'); }")

    expect(picture).not_to_have_attribute("src", re.compile("until=1&"))
    expect(picture).to_have_js_property("naturalWidth", 60)
    with ada.page.expect_download() as download:
        link.click()
    assert Path(download.value.path()).read_bytes() == NOTES["buffer"]
    with ada.page.expect_popup() as popup:
        ada.message("both").get_by_role("link", name="green.png").click()
    expect(popup.value.get_by_role("img")).to_be_visible()


@pytest.mark.parametrize(("status", "words"), [("rejected", "was not accepted"), ("expired", "is no longer kept")])
def test_unavailable_file_shows_its_reason(person: NewPerson, status: str, words: str) -> None:
    ada, grace, chat = two_in(person)
    ada.page.locator("#files").set_input_files([NOTES])
    uploaded(ada.page, "notes.txt")
    ada.send("see here")
    expect(grace.message("see here")).to_be_visible()
    Attachment.objects.filter(uploader_id=int(ada.account.id)).update(status=status, due_at=None)
    grace.open(f"/c/{chat}/")
    expect(grace.message("see here").locator(".file-notice")).to_contain_text(f"notes.txt {words}")
    expect(grace.message("see here").get_by_role("link")).to_have_count(0)


def test_voice_message_has_a_waveform_length_and_player(person: NewPerson) -> None:
    ada, grace, chat = two_in(person)
    ada.page.locator("#files").set_input_files([FilePayload(name="voice.ogg", mimeType="audio/ogg", buffer=OGG)])
    uploaded(ada.page, "voice.ogg")
    made = Attachment.objects.get(uploader_id=int(ada.account.id))
    data = {"durationMs": 65_000, "waveform": [0, 128, 255] * 20}
    body = {"contentType": "voice", "data": data, "attachments": [str(made.pk)]}
    ada.account.call("POST", f"/conversations/{chat}/messages", body)
    assert processing.process_due(None) > 0
    voice = grace.log.locator(".voice")
    expect(voice.locator(".voice-length")).to_have_text("1:05")
    expect(voice.locator("rect")).to_have_count(48)
    expect(voice.locator("audio")).to_have_attribute("aria-label", "Voice message, 1:05")


OGG = b"OggS" + bytes(24) + b"\x01\x13OpusHead" + bytes(100)
