"""Every address of the portal."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from chicagocloud import health, views

urlpatterns = [
    path("", views.overview, name="overview"),
    path("health/", health.health, name="health"),
    path("", include("accounts.sign_in_urls")),
    path("", include("accounts.urls")),
    path("", include("disclosures.urls")),
    path("", include("retention.urls")),
    path("api/", include("chicagocloud.api")),
    path("admin/", admin.site.urls),
]
handler400 = "chicagocloud.views.bad_request"
handler404 = "chicagocloud.views.not_found"
handler500 = "chicagocloud.views.server_error"
