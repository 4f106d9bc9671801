"""Addresses of the deletion pages, and of pages below that need a number of the schedule.

The code of a request is never part of one.
"""

from __future__ import annotations

from functools import partial

from django.urls import path

from accounts.pages import email, members
from retention import schedule, views

app_name = "retention"
EMAIL_CHANGE = {"lasts": partial(schedule.span, "email_change")}
INVITATION = {"lasts": partial(schedule.span, "invitation")}
urlpatterns = [
    path("delete/", views.start, name="delete_start"),
    path("delete/check/", views.check, name="delete_check"),
    path("delete/find/", views.find, name="delete_find"),
    path("delete/<slug:reference>/", views.status, name="delete_status"),
    path("delete/<slug:reference>/cancel/", views.cancel, name="delete_cancel"),
    path("email/change/", email.ask, EMAIL_CHANGE, name="email_change"),
    path("contacts/<uuid:contact>/email/", email.ask_for_contact, EMAIL_CHANGE, name="contact_email_change"),
    path("members/invite/", members.invite, INVITATION, name="member_invite"),
]
