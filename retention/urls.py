"""Addresses of data, exports, deletions and requests, and of pages below that need a number of the schedule.

The code of a request is never part of one.
"""

from __future__ import annotations

from functools import partial

from django.urls import path

from accounts.pages import email, members
from retention import asking_views, data_views, export_views, request_views, schedule, views

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
    path("delete/reopen/", views.reopen, name="delete_reopen"),
    path("delete/<slug:reference>/", views.status, name="delete_status"),
    path("delete/<slug:reference>/cancel/", views.cancel, name="delete_cancel"),
    path("email/change/", email.ask, EMAIL_CHANGE, name="email_change"),
    path("contacts/<uuid:contact>/email/", email.ask_for_contact, EMAIL_CHANGE, name="contact_email_change"),
    path("members/invite/", members.invite, INVITATION, name="member_invite"),
    path("requests/", request_views.requests, name="requests"),
    path("requests/new/", request_views.new, name="request_new"),
    path("requests/new/<slug:right>/", request_views.ask, name="request_ask"),
    path("requests/allow/", request_views.allow, name="request_allow"),
    path("requests/<slug:reference>/", request_views.one, name="request"),
    path("requests/<slug:reference>/withdraw/", request_views.withdraw, name="request_withdraw"),
    path("request/", asking_views.start, name="ask_start"),
    path("request/new/<slug:right>/", asking_views.ask, name="ask_for"),
    path("request/new/<slug:right>/agent/", asking_views.ask_agent, name="ask_agent"),
    path("request/find/", asking_views.find, name="ask_find"),
    path("request/<slug:reference>/", asking_views.status, name="ask_status"),
    path("request/<slug:reference>/withdraw/", asking_views.withdraw, name="ask_withdraw"),
]
