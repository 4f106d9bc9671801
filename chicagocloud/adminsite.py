"""The admin site: for staff, signed in by the portal's own page; its front page is work, not models.

Nobody enters without having used a second factor in this session. Staff who have none are led to set one up, staff
who have one are asked for it; until then no page of the site opens. There is no switch for that.

Nothing changes on GET but the ledger's entries of who looked. There is no bulk deletion anywhere, no page for
Django's own log, and nothing personal in an address: a customer is found by a POST form that redirects to a
random id.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from csp.constants import NONE, SELF
from csp.decorators import csp_replace
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from accounts import factors, proofs, visits
from accounts.admin_base import RecordAdmin, asking, staff
from accounts.roles import may, roles_of
from chicagocloud import page_use
from chicagocloud.finding_customers import FindForm, find
from chicagocloud.work import piles

# The stock admin's scripts and styles are files of the site itself (pages.md, gate 5).
POLICY: dict[str, Any] = {
    "default-src": [SELF],
    "style-src": None,
    "script-src": None,
    "img-src": None,
    "connect-src": None,
    "form-action": [SELF],
    "frame-ancestors": [NONE],
    "base-uri": [NONE],
}
# Pages of the stock site that the portal's own replace, or that would leave a way around the acts.
LEFT_OUT = {"logout", "password_change", "password_change_done", "autocomplete", "view_on_site"}
FIND = "accounts.view_account"


class PortalAdminSite(admin.AdminSite):
    """One site; every page of it is for active staff and under one content policy."""

    site_header = "ChicagoCloud staff"
    site_title = "ChicagoCloud staff"
    index_title = "Your work"
    index_template = "admin/work.html"
    site_url = None
    enable_nav_sidebar = False
    final_catch_all_view = False

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self.disable_action("delete_selected")

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Take in the portal's own rooms only: a library's would add, change and delete past the acts."""
        if admin_class is not None and issubclass(admin_class, RecordAdmin):
            super().register(model_or_iterable, admin_class, **options)

    def has_permission(self, request: HttpRequest) -> bool:
        """Return whether the request is of active staff who have used a second factor in this session."""
        return self.is_staffs(request) and proofs.used_second_factor(request)

    def is_staffs(self, request: HttpRequest) -> bool:
        """Return whether the request is of active staff, whatever they have proved."""
        return super().has_permission(request)

    def get_urls(self) -> list[Any]:
        kept = [url for url in super().get_urls() if getattr(url, "name", None) not in LEFT_OUT]
        own = [
            path("find/", self.admin_view(self.find_view), name="find"),
            path("page-use/", self.admin_view(self.page_use_view), name="page_use"),
        ]
        return [*own, *kept]

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        """Let active staff with a second factor through; lead everybody else to what is missing."""
        inner = super().admin_view(view, cacheable)

        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if self.has_permission(request):
                return inner(request, *args, **kwargs)
            return self.lead(request, request.get_full_path())

        return csp_replace(POLICY)(update_wrapper(guarded, view))

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Send to the portal's sign-in page: there is one way to sign in."""
        if self.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index", current_app=self.name))
        wanted = request.GET.get("next", "")
        if not url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
            wanted = reverse("admin:index", current_app=self.name)
        return self.lead(request, wanted)

    def lead(self, request: HttpRequest, wanted: str) -> HttpResponse:
        """Send strangers to sign in, staff to set up or to use a second factor, and refuse customers."""
        if not request.user.is_authenticated:
            return redirect_to_login(wanted, reverse(settings.LOGIN_URL))
        if not self.is_staffs(request):
            raise PermissionDenied
        step = "mfa_reauthenticate" if factors.is_enrolled(staff(request)) else "mfa_index"
        return redirect_to_login(wanted, reverse(step))

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        roles = sorted(role.label for role in roles_of(request.user))
        finds = may(request.user, FIND)
        return {
            **super().each_context(request),
            "role_names": roles,
            "finds_customers": finds,
            "reads_page_use": may(request.user, page_use.ACT),
        }

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show what waits for this member of staff; the list of models comes last."""
        return super().index(request, {"piles": list(piles(staff(request))), **(extra_context or {})})

    def find_view(self, request: HttpRequest) -> HttpResponse:
        """Find a customer by number, reference or e-mail address; the answer is a redirect to a random id."""
        user = staff(request)
        if not may(user, FIND):
            raise PermissionDenied
        form = asking(FindForm(request.POST if request.method == "POST" else None))
        status = 200
        if request.method == "POST":
            account_id = find(form.cleaned_data["wanted"], user) if form.is_valid() else None
            if account_id is not None:
                card = reverse("admin:accounts_account_change", args=[account_id], current_app=self.name)
                return HttpResponseRedirect(card)
            if form.is_valid():
                form.add_error(
                    "wanted", "No customer has this number, reference or address. Check it for typing errors."
                )
            status = 422
        context = {**self.each_context(request), "title": "Find a customer", "form": form}
        return TemplateResponse(request, "admin/find.html", context, status=status)

    def page_use_view(self, request: HttpRequest) -> HttpResponse:
        """Show counts of page visits by week."""
        if not may(staff(request), page_use.ACT):
            raise PermissionDenied
        sections = page_use.tables(timezone.now())
        context = {
            **self.each_context(request),
            "title": page_use.TITLE,
            "sections": sections,
            "fewest": visits.FEWEST,
        }
        return TemplateResponse(request, "admin/page_use.html", context)
