"""The staff's page "why was a message not seen?" (F124): the trace of a message, and the list of all inspections."""

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from accounts.models import User
from chat.admin import ReadOnly
from gateway.errors import Refused
from gateway.frames import Session
from gateway.ids import DeviceId, UserId
from gateway.paging import read_cursor
from receipts import traces
from receipts.bodies import RecipientTrace, Trace
from receipts.models import Inspection


class Look(forms.Form):
    """The message, the reason, and the cursor of the recipients."""

    message_id = forms.IntegerField(label="Message", min_value=1, max_value=2**63 - 1)
    reason = forms.CharField(max_length=traces.MOST_REASON, help_text="kept, with your name and the time")
    cursor = forms.CharField(required=False, widget=forms.HiddenInput)


@admin.register(Inspection)
class InspectionAdmin(ReadOnly):
    """Inspections. A look at a trace adds one; none is changed or deleted."""

    list_display = ("looked_at", "staff_id", "message_id", "reason")
    search_fields = ("message_id__exact", "staff_id__exact")
    ordering = ("-id",)
    change_list_template = "admin/receipts/inspection/list.html"

    def get_urls(self) -> list[URLPattern]:
        look = path("look/", self.admin_site.admin_view(self.look), name="receipts_inspection_look")
        return [look, *super().get_urls()]

    def look(self, request: HttpRequest) -> HttpResponse:
        """Show the form, and the trace of its message. POST, because each look adds an inspection."""
        if not request.user.has_perm(traces.LOOK):
            raise PermissionDenied
        form = Look(request.POST or None)
        trace = self._trace(request, form) if form.is_valid() else None
        context = {
            **self.admin_site.each_context(request),
            "title": "Why was a message not seen?",
            "form": form,
            "trace": trace,
            "recipients": _named(trace) if trace else [],
        }
        return TemplateResponse(request, "admin/receipts/inspection/look.html", context)

    def _trace(self, request: HttpRequest, form: Look) -> Trace | None:
        values = form.cleaned_data
        session = Session(UserId(int(request.user.pk or 0)), DeviceId(0), None)
        try:
            after = read_cursor(values["cursor"], int) if values["cursor"] else 0
            return traces.trace_for_staff(session, values["message_id"], reason=values["reason"], after=after)
        except Refused as refusal:
            form.add_error(None, refusal.message)
            return None


def _named(trace: Trace) -> list[tuple[str, RecipientTrace]]:
    people = User.objects.filter(id__in=[int(r.user_id) for r in trace.recipients])
    names = {str(id_): name for id_, name in people.values_list("id", "display_name")}
    return [(names[r.user_id], r) for r in trace.recipients]
