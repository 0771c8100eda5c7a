"""What a page must never do, and that the tests would see it if it did."""

from playwright.sync_api import expect

from tests.browser.person import NewPage, NewPerson
from tests.servers import Server

INLINE = "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s);"
MARKUP = "document.body.insertAdjacentHTML('beforeend', '<b>no</b>')"
THROW = "setTimeout(() => { throw new Error('on purpose'); })"


def test_csp_violation_fails_any_browser_test(new_page: NewPage, server: Server, faults: list[str]) -> None:
    page = new_page()
    page.goto(f"{server.url}/accounts/login/")
    with page.context.expect_event("weberror"):
        page.evaluate(f"() => {{ {THROW} }}")
    page.evaluate(f"() => {{ try {{ {INLINE} }} catch (refused) {{ window.refused = refused.name; }} }}")
    page.evaluate(f"() => {{ try {{ {MARKUP} }} catch (refused) {{ window.refused = refused.name; }} }}")
    page.wait_for_function("window.refused === 'TypeError'")
    assert page.evaluate("window.ran") is None
    assert any("on purpose" in fault for fault in faults)
    assert any("require-trusted-types-for" in fault for fault in faults)
    faults.clear()


def test_user_text_never_becomes_markup(person: NewPerson) -> None:
    evil = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
    ada, grace = person(f"Ada {evil[:60]}"), person("Grace")
    chat = ada.group_with(f"{evil[:80]}", grace)
    ada.say(chat, evil)
    grace.open(f"/c/{chat}/")
    assert grace.texts()[-1] == evil
    ada.open(f"/c/{chat}/")
    ada.send(f"live {evil}")
    expect(grace.message("live")).to_contain_text(evil)
    assert grace.page.locator("#log img, #log script, #chats img, h2 img").count() == 0
    grace.open("/")
    expect(grace.message("live")).to_contain_text(evil)


def test_anonymous_visitor_sees_only_the_sign_in_page(new_page: NewPage, server: Server) -> None:
    page = new_page()
    for path in ("/", "/c/1/", "/settings/"):
        page.goto(server.url + path)
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
