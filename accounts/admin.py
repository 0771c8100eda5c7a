"""Users and devices in the admin. Staff can disable, enable and sign out; everything else is read-only here."""

from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts import devices, users
from accounts.models import Device, User
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


@admin.register(User)
class UserAdmin(ReadMostly):
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
        return self.readonly_fields if request.user.is_superuser else self.fields

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
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
