"""Addresses of the deletion pages. The code of a request is never part of one."""

from __future__ import annotations

from django.urls import path

from retention import views

app_name = "retention"
urlpatterns = [
    path("delete/", views.start, name="delete_start"),
    path("delete/check/", views.check, name="delete_check"),
    path("delete/find/", views.find, name="delete_find"),
    path("delete/<slug:reference>/", views.status, name="delete_status"),
    path("delete/<slug:reference>/cancel/", views.cancel, name="delete_cancel"),
]
