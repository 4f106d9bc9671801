"""Addresses of data, exports and deletions, and of pages below that need a number of the schedule.

The code of a request is never part of one.
"""

from __future__ import annotations

from functools import partial

from django.urls import path

from accounts.pages import email, members
from retention import data_views, export_views, schedule, views

app_name = "retention"
EMAIL_CHANGE = {"lasts": partial(schedule.span, "email_change")}
INVITATION = {"lasts": partial(schedule.span, "invitation")}
urlpatterns = [
    path("data/", data_views.data, name="data"),
    path("data/<slug:category>/", data_views.category, name="data_category"),
    path("privacy/data/", data_views.public, name="data_public"),
    path("export/", export_views.exports, name="exports"),
    path("export/new/", export_views.export_new, name="export_new"),
    path("export/<slug:reference>/", export_views.export, name="export"),
    path("export/<slug:reference>/download/", export_views.export_download, name="export_download"),
    path("export/<slug:reference>/remove/", export_views.export_remove, name="export_remove"),
    path("delete/", views.start, name="delete_start"),
    path("delete/check/", views.check, name="delete_check"),
    path("delete/find/", views.find, name="delete_find"),
    path("delete/<slug:reference>/", views.status, name="delete_status"),
    path("delete/<slug:reference>/cancel/", views.cancel, name="delete_cancel"),
    path("email/change/", email.ask, EMAIL_CHANGE, name="email_change"),
    path("contacts/<uuid:contact>/email/", email.ask_for_contact, EMAIL_CHANGE, name="contact_email_change"),
    path("members/invite/", members.invite, INVITATION, name="member_invite"),
]
