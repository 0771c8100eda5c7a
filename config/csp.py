"""The Content-Security-Policy of library pages: Django's admin and the API's documentation.

It is the policy of our own pages (no inline script or style, nothing from elsewhere), without Trusted Types: the
scripts of both write markup. Our own pages keep them.
"""

from csp.middleware import CSPMiddleware as DjangoCSPMiddleware
from csp.middleware import PolicyParts
from django.http import HttpRequest, HttpResponseBase

LIBRARY_PAGES = ("/admin/", "/api/docs/")


class CSPMiddleware(DjangoCSPMiddleware):
    """django-csp's middleware, with one directive less for LIBRARY_PAGES."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        if request.path_info.startswith(LIBRARY_PAGES):
            parts.replace = {**(parts.replace or {}), "require-trusted-types-for": None}
        return parts
