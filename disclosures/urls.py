"""Addresses of what leaves the company, of who looked, and of how the policy is kept."""

from __future__ import annotations

from django.urls import path

from disclosures import (
    consent_views,
    delivery_views,
    notice_views,
    policy_views,
    report_views,
    transparency_views,
    views,
)

app_name = "disclosures"
urlpatterns = [
    path("data/activity/", views.activity, name="activity"),
    path("privacy/how/", policy_views.how, name="how"),
    path("consent/", consent_views.consent, name="consent"),
    path("consent/news/", consent_views.marketing, name="consent_marketing"),
    path("consent/share/<slug:partner>/", consent_views.share, name="consent_share"),
    path("consent/<slug:reference>/withdraw/", consent_views.withdraw, name="consent_withdraw"),
    path("delivery/<slug:token>/", delivery_views.delivery, name="delivery"),
    path("legal-notices/", notice_views.notices, name="notices"),
    path("legal-notices/<slug:reference>/", notice_views.notice, name="notice"),
    path("legal-notices/<slug:reference>/copy/", notice_views.copy, name="notice_copy"),
    path("legal-notices/<slug:reference>/give-up/", notice_views.give_up, name="notice_give_up"),
    path("report/", report_views.start, name="report"),
    path("report/abuse/", report_views.abuse, name="report_abuse"),
    path("report/copyright/", report_views.copyright_notice, name="report_copyright"),
    path("transparency/", transparency_views.page, name="transparency"),
    path("transparency/<str:name>.csv", transparency_views.file, name="transparency_file"),
]
