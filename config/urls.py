"""The table of URLs: path → view."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularSwaggerSplitView

from accounts.forms import EmailView
from chat import pages
from config import health
from config.contract import ContractView
from config.schema import schema

API: list[URLPattern | URLResolver] = [
    path("contract", ContractView.as_view()),
    path("", include("receipts.urls")),
    path("", include("presence.urls")),
    path("", include("chat.urls")),
    path("", include("accounts.urls")),
]

handler404 = "config.error_404.handle"
handler500 = "config.error_5xx.handle"

urlpatterns = [
    path("readyz", health.readyz),
    path("metrics", health.metrics),
    path("api/v1/", include(API)),
    path("api/schema/", schema, name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="docs.html"), name="docs"),
    path("accounts/email/", EmailView.as_view(), name="account_email"),
    path("accounts/", include("allauth.account.urls")),
    path("admin/", admin.site.urls),
    path("", pages.home, name="home"),
    path("c/<int:conversation_id>/", pages.conversation, name="conversation"),
    path("settings/", pages.account, name="settings"),
]
