"""Users and devices in the admin: visibility and actions for staff."""

from collections.abc import Callable

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from accounts import devices, invitations, tokens
from accounts.models import Device, Invitation, User
from gateway.bus import Event
from tests.accounts.conftest import PASSWORD, Somebody, new_email

Make = Callable[..., Somebody]


@pytest.fixture
def staff(monkeypatch: pytest.MonkeyPatch) -> Client:
    """A browser signed in as a superuser, who was created by Django's command."""
    email = new_email()
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", "--noinput", email=email.upper(), verbosity=0)
    browser = Client()
    answer = browser.post(reverse("account_login"), {"login": email, "password": PASSWORD, "next": "/admin/"})
    assert answer["Location"] == "/admin/"
    return browser


def test_admin_is_entered_through_parleys_sign_in_page(somebody: Make) -> None:
    answer = Client().get("/admin/", follow=True)
    assert [place for place, _ in answer.redirect_chain][-1].startswith(reverse("account_login"))
    member = Client()
    member.force_login(somebody().user)
    assert member.get("/admin/", follow=True).status_code == 403


def test_admin_lists_users_but_cannot_add_edit_or_delete_them(staff: Client, somebody: Make) -> None:
    who = somebody("Zoë Findable")
    listed = staff.get(reverse("admin:accounts_user_changelist"), {"q": (who.user.email or "")[:8]}).content.decode()
    assert "Zoë Findable" in listed
    assert staff.get(reverse("admin:accounts_user_add")).status_code == 403
    assert staff.post(reverse("admin:accounts_user_delete", args=[who.id])).status_code == 403
    page = staff.get(reverse("admin:accounts_user_change", args=[who.id])).content.decode()
    assert 'name="display_name"' not in page
    assert "argon2" not in page


def test_disabled_user_is_signed_out_everywhere_and_may_be_enabled_again(
    staff: Client, somebody: Make, published: list[Event]
) -> None:
    who = somebody(password=PASSWORD)
    chosen = {"_selected_action": [str(who.id)]}
    staff.post(reverse("admin:accounts_user_changelist"), {"action": "disable", **chosen})
    assert [o.close_device for o in published] == [who.device_id]
    with pytest.raises(devices.Revoked):
        tokens.verify_access(who.pair.access)
    assert not User.objects.get(pk=who.id).is_active
    staff.post(reverse("admin:accounts_user_changelist"), {"action": "enable", **chosen})
    assert User.objects.get(pk=who.id).is_active
    with pytest.raises(devices.Revoked):
        tokens.verify_access(who.pair.access)


def test_admin_can_sign_out_a_device(staff: Client, somebody: Make, published: list[Event]) -> None:
    who = somebody()
    where = reverse("admin:accounts_device_changelist")
    assert staff.get(where).status_code == 200
    staff.post(where, {"action": "sign_out", "_selected_action": [str(who.device_id)]})
    assert [o.close_device for o in published] == [who.device_id]
    assert Device.objects.get(pk=who.device_id).revoked_at is not None


def test_staff_with_change_permission_cannot_raise_their_own_rights(staff: Client, somebody: Make) -> None:
    """Only superusers change rights (F275)."""
    helper = somebody(password=PASSWORD)
    helper.user.is_staff = True
    helper.user.save()
    helper.user.user_permissions.set(Permission.objects.filter(codename__in=["view_user", "change_user"]))
    browser = Client()
    browser.post(reverse("account_login"), {"login": helper.user.email, "password": PASSWORD})
    where = reverse("admin:accounts_user_change", args=[helper.id])
    raised = {"is_staff": "on", "is_superuser": "on", "user_permissions": [p.pk for p in Permission.objects.all()]}

    assert browser.get(where).status_code == 200
    browser.post(where, raised)
    user = User.objects.get(pk=helper.id)
    assert (user.is_superuser, user.user_permissions.count()) == (False, 2)

    browser.post(
        reverse("admin:accounts_user_changelist"),
        {"action": "disable", "_selected_action": [staff.session["_auth_user_id"], somebody().id]},
    )
    assert User.objects.get(pk=staff.session["_auth_user_id"]).is_active

    staff.post(where, {**raised, "email": helper.user.email})
    assert User.objects.get(pk=helper.id).is_superuser


@pytest.fixture
def helpdesk(somebody: Make) -> Client:
    """A browser signed in as staff with every permission, who is no superuser."""
    who = somebody()
    User.objects.filter(pk=who.id).update(is_staff=True)
    who.user.user_permissions.set(Permission.objects.all())
    browser = Client()
    browser.force_login(User.objects.get(pk=who.id))
    return browser


def test_staff_cannot_give_anybody_another_email_address(helpdesk: Client, staff: Client) -> None:
    for browser in (helpdesk, staff):
        assert browser.get("/admin/account/emailaddress/add/").status_code == 404


def test_only_superusers_see_and_change_groups(helpdesk: Client, staff: Client) -> None:
    group = Group.objects.create(name=f"Support {new_email()}")
    for name, args in (("changelist", []), ("add", []), ("change", [group.pk]), ("delete", [group.pk])):
        page = reverse(f"admin:auth_group_{name}", args=args)
        assert (helpdesk.get(page).status_code, staff.get(page).status_code) == (403, 200)
    every = [permission.pk for permission in Permission.objects.all()]
    changed = {"name": group.name, "permissions": every}
    assert helpdesk.post(reverse("admin:auth_group_change", args=[group.pk]), changed).status_code == 403
    assert not group.permissions.exists()


@pytest.mark.parametrize("action", ["disable", "enable"])
def test_staff_without_superuser_rights_neither_disables_nor_enables_a_superuser(
    helpdesk: Client, somebody: Make, action: str
) -> None:
    chief, other = somebody(), somebody()
    User.objects.filter(pk=chief.id).update(is_superuser=True)
    active = action == "disable"
    User.objects.filter(pk__in=[chief.id, other.id]).update(is_active=active)
    chosen = {"action": action, "_selected_action": [str(chief.id), str(other.id)]}
    helpdesk.post(reverse("admin:accounts_user_changelist"), chosen)
    states = dict(User.objects.filter(pk__in=[chief.id, other.id]).values_list("pk", "is_active"))
    assert states == {chief.id: active, other.id: not active}


def test_staff_without_superuser_rights_signs_no_superuser_out(helpdesk: Client, somebody: Make) -> None:
    chief, other = somebody(), somebody()
    User.objects.filter(pk=chief.id).update(is_superuser=True)
    chosen = [str(chief.device_id), str(other.device_id)]
    helpdesk.post(reverse("admin:accounts_device_changelist"), {"action": "sign_out", "_selected_action": chosen})
    revoked = dict(Device.objects.filter(pk__in=[chief.device_id, other.device_id]).values_list("pk", "revoked_at"))
    assert (revoked[chief.device_id], revoked[other.device_id] is None) == (None, False)


def helper_with(somebody: Make, *permissions: str) -> Client:
    """A browser of a staff member, no superuser, with these permissions."""
    helper = somebody(password=PASSWORD)
    User.objects.filter(pk=helper.id).update(is_staff=True)
    helper.user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client()
    browser.post(reverse("account_login"), {"login": helper.user.email, "password": PASSWORD})
    return browser


def act(browser: Client, model: str, action: str, *ids: int) -> int:
    form = {"action": action, "_selected_action": [str(id_) for id_ in ids]}
    return browser.post(reverse(f"admin:accounts_{model}_changelist"), form).status_code


def test_superuser_changes_the_address_of_staff(staff: Client, somebody: Make) -> None:
    helper, other, new = somebody(password=PASSWORD), somebody(), new_email()
    helper.user.is_staff = True
    helper.user.save()
    browser = Client()
    browser.post(reverse("account_login"), {"login": helper.user.email, "password": PASSWORD})
    where = reverse("admin:accounts_user_change", args=[helper.id])

    for wrong in ("", "nobody", other.user.email or ""):
        staff.post(where, {"is_staff": "on", "email": wrong})
        assert User.objects.get(pk=helper.id).email == helper.user.email
    staff.post(where, {"is_staff": "on", "email": new.upper()})

    assert User.objects.get(pk=helper.id).email == new
    assert not EmailAddress.objects.filter(email=helper.user.email).exists()
    assert Client().post(reverse("account_login"), {"login": new, "password": PASSWORD}).status_code == 302


def test_staff_with_the_permission_invites_and_revokes(somebody: Make) -> None:
    inviter, viewer = helper_with(somebody, "add_invitation"), helper_with(somebody, "view_invitation")
    email = new_email()
    form = {"email": email.upper(), "max_uses": "7"}

    assert viewer.post(reverse("admin:accounts_invitation_add"), form).status_code == 403
    assert inviter.post(reverse("admin:accounts_invitation_add"), form).status_code == 302
    invitation = Invitation.objects.get(email=email)
    page = reverse("admin:accounts_invitation_change", args=[invitation.pk])
    link = escape(invitations.link_to(invitation))
    assert (invitation.max_uses, str(invitation.created_by_id)) == (1, inviter.session["_auth_user_id"])
    assert (link in inviter.get(page).content.decode(), link in viewer.get(page).content.decode()) == (True, False)

    act(viewer, "invitation", "revoke", invitation.pk)
    assert invitations.find(invitations.token_of(invitation))
    act(inviter, "invitation", "revoke", invitation.pk)
    assert invitations.find(invitations.token_of(invitation)) is None
    assert link not in inviter.get(page).content.decode()
