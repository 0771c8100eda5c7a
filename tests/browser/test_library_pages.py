"""The admin and the API's documentation in a browser: they work under the policy, and break it nowhere."""

import secrets

from django.contrib.auth.models import Group, Permission
from playwright.sync_api import Page, expect

from accounts.models import User
from tests.browser.accounts import PASSWORD, register
from tests.browser.person import NewPage
from tests.factories import direct, say, someone
from tests.servers import Server


def enter_admin(page: Page, server: Server) -> User:
    """Sign in as a superuser, by the page that the admin redirects to."""
    account = register(server.url, "Boss")
    User.objects.filter(pk=account.id).update(is_staff=True, is_superuser=True)
    page.goto(f"{server.url}/admin/")
    page.get_by_label("Email").fill(account.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Site administration")).to_be_visible()
    return User.objects.get(pk=account.id)


def test_superuser_gives_a_group_its_rights_in_the_admin(new_page: NewPage, server: Server) -> None:
    """The two boxes of permissions are made and filled by the admin's scripts."""
    page, name = new_page(), f"Support {secrets.token_hex(4)}"
    wanted = Permission.objects.get(codename="add_inspection")
    enter_admin(page, server)

    page.goto(f"{server.url}/admin/auth/group/add/")
    page.get_by_label("Name:").fill(name)
    page.locator("#id_permissions_from").select_option(label=str(wanted))
    page.locator("#id_permissions_from option:checked").dblclick()
    expect(page.locator("#id_permissions_to option")).to_have_count(1)
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.locator(".messagelist")).to_contain_text(name)
    assert list(Group.objects.get(name=name).permissions.all()) == [wanted]


def test_staff_disables_a_user_in_the_admin(new_page: NewPage, server: Server) -> None:
    page, name = new_page(), f"Gone{secrets.token_hex(4)}"
    other = someone(name)
    enter_admin(page, server)

    page.goto(f"{server.url}/admin/accounts/user/")
    page.locator("#searchbar").fill(name.lower())
    page.get_by_role("button", name="Search").click()
    page.locator("input.action-select").check()
    page.locator("select[name=action]").select_option("disable")
    page.locator("button[name=index]").click()
    expect(page.locator("#result_list img[alt=False]").first).to_be_visible()

    assert not User.objects.get(pk=other.id).is_active


def test_every_page_of_the_admin_keeps_to_the_policy(new_page: NewPage, server: Server) -> None:
    page = new_page()
    boss = enter_admin(page, server)
    one, other = someone(), someone()
    say(one, direct(one, other))

    page.goto(f"{server.url}/admin/")
    lists = page.locator("#content-main th a").evaluate_all("links => links.map((link) => link.href)")
    for link in [*lists, f"{server.url}/admin/accounts/user/{boss.pk}/change/"]:
        answer = page.goto(link)
        assert answer is not None
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        expect(page.locator("#content h1").first).to_be_visible()
    assert len(lists) > 8


def test_documentation_of_the_api_opens_a_route(new_page: NewPage, server: Server) -> None:
    page = new_page()

    answer = page.goto(f"{server.url}/api/docs/")
    page.get_by_text("/api/v1/auth/register").first.click()

    expect(page.get_by_text("Create an account and sign this device in", exact=False).first).to_be_visible()
    assert answer is not None
    assert "unsafe" not in answer.headers["content-security-policy"]
