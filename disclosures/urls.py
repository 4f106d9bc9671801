"""Addresses of what leaves the company, and of how the policy is kept."""

from __future__ import annotations

from django.urls import path

from disclosures import policy_views

app_name = "disclosures"
urlpatterns = [
    path("privacy/how/", policy_views.how, name="how"),
]
