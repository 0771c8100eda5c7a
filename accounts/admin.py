"""Users, devices and invitations in the admin. Staff can disable, enable, sign out and invite.

What could make a right greater is for superusers alone: rights, groups, addresses that a reset link goes to, and
whatever concerns a superuser. The models of libraries are shown only as `GroupAdmin` and not as they come (F275).
"""

from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts import devices, invitations, users
from accounts.forms import apply_rule
from accounts.models import Device, Invitation, User
from gateway.ids import DeviceId, UserId
from outbox.events import UserChanged
from outbox.outbox import record

# The admin's own sign-in page applies no rate limit and creates no device.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign, no-untyped-call]

# An address added here would get the links that set a password: people add and confirm their own.
admin.site.unregister(EmailAddress)
admin.site.unregister(Group)


@admin.register(Group)
class SuperusersGroupAdmin(GroupAdmin):
    """Groups, for superusers alone: with the permission to change a group, staff could give theirs every right (F275)."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    has_add_permission = has_module_permission
    has_change_permission = has_delete_permission = has_view_permission


def within_reach(request: HttpRequest, selected: QuerySet[User]) -> QuerySet[User]:
    """Return the selected users without superusers, whom only a superuser disables, enables or signs out."""
    return selected if request.user.is_superuser else selected.filter(is_superuser=False)


class ReadMostly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Adds and deletes nothing: users register themselves, devices are created by a sign-in."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class UserForm(forms.ModelForm):  # type: ignore[type-arg]
    """What superusers change of a user."""

    def clean_email(self) -> str | None:
        if self.cleaned_data["email"]:
            return apply_rule(users.clean_email, self.cleaned_data["email"])
        if not self.instance.phone:
            raise forms.ValidationError("an e-mail address or a phone number is needed")
        return None


@admin.register(User)
class UserAdmin(ReadMostly):
    form = UserForm
    list_display = ("display_name", "email", "phone", "is_active", "is_staff", "created_at")
    list_filter = ("is_active", "is_staff")
    search_fields = ("name_key__startswith", "email__startswith", "phone__startswith")
    readonly_fields = ("id", "display_name", "email", "phone", "avatar_url", "created_at", "last_login", "is_active")
    fields = (*readonly_fields, "is_staff", "is_superuser", "groups", "user_permissions")
    filter_horizontal = ("groups", "user_permissions")
    ordering = ("name_key",)
    show_full_result_count = False
    actions = ("disable", "enable")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Let only superusers change rights: other staff with change permission could raise their own (F275)."""
        if not request.user.is_superuser:
            return self.fields
        return tuple(field for field in self.readonly_fields if field != "email")

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save the rights and the address. A changed address ends the account's other ones, which could reset it."""
        super().save_model(request, obj, form, change)
        if "email" in form.changed_data:
            EmailAddress.objects.filter(user=obj).delete()
        if form.changed_data:
            record(UserChanged(user_id=obj.pk, fields=form.changed_data))

    @admin.action(description="Disable: sign out everywhere, no more sign-in", permissions=["change"])
    def disable(self, request: HttpRequest, selected: QuerySet[User]) -> None:
        for user_id in within_reach(request, selected).values_list("id", flat=True):
            users.disable(UserId(user_id))

    @admin.action(description="Enable", permissions=["change"])
    def enable(self, request: HttpRequest, selected: QuerySet[User]) -> None:
        for user_id in within_reach(request, selected).values_list("id", flat=True):
            users.enable(UserId(user_id))


@admin.register(Device)
class DeviceAdmin(ReadMostly):
    list_display = ("id", "user", "name", "platform", "last_seen_at", "revoked_at")
    list_select_related = ("user",)
    search_fields = ("user__email__startswith", "user__name_key__startswith")
    readonly_fields = ("id", "user", "name", "platform", "created_at", "last_seen_at", "revoked_at")
    fields = readonly_fields
    ordering = ("-id",)
    show_full_result_count = False
    actions = ("sign_out",)

    @admin.action(description="Sign out", permissions=["change"])
    def sign_out(self, request: HttpRequest, selected: QuerySet[Device]) -> None:
        people = within_reach(request, User.objects.filter(devices__in=selected))
        for user_id, device_id in selected.filter(user__in=people).values_list("user_id", "id"):
            devices.sign_out(UserId(user_id), DeviceId(device_id))


class NewInvitation(forms.ModelForm):  # type: ignore[type-arg]
    """The address of an invitation, if it is for one, and the number of its uses."""

    max_uses = forms.IntegerField(label="Accounts", min_value=1, initial=1, help_text="with an address: always one")

    class Meta:
        model = Invitation
        fields = ("email", "max_uses")

    def clean_email(self) -> str | None:
        return apply_rule(users.clean_email, self.cleaned_data["email"]) if self.cleaned_data["email"] else None


@admin.register(Invitation)
class InvitationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Invitations to sign up: created here, shown with their link, revoked, never changed or deleted."""

    form = NewInvitation
    list_display = ("id", "email", "created_by", "created_at", "expires_at", "uses", "max_uses", "revoked_at")
    list_select_related = ("created_by",)
    search_fields = ("email__startswith",)
    ordering = ("-id",)
    show_full_result_count = False
    actions = ("revoke",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_add_permission(request) or super().has_view_permission(request, obj)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Show the link only to those who may invite: whoever has it can make an account."""
        if obj is None:
            return ("email", "max_uses")
        shown = ("email", "created_by", "created_at", "expires_at", "uses", "max_uses", "revoked_at")
        return ("link", *shown) if self.has_add_permission(request) else shown

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.get_fields(request, obj) if obj else ()

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        created = invitations.create(
            email=obj.email, max_uses=obj.max_uses, created_by=UserId(int(request.user.pk or 0))
        )
        obj.pk, obj.expires_at = created.pk, created.expires_at

    @admin.display(description="Link")
    def link(self, obj: Invitation) -> str:
        """The address to hand on, while the invitation can be used."""
        return invitations.link_to(obj) if invitations.find(invitations.token_of(obj)) else "not valid any more"

    @admin.action(description="Revoke", permissions=["add"])
    def revoke(self, request: HttpRequest, selected: QuerySet[Invitation]) -> None:
        for invitation_id in selected.values_list("id", flat=True):
            invitations.revoke(invitation_id)
