"""Addresses of what leaves the company, of who looked, and of how the policy is kept."""

from __future__ import annotations

from django.urls import path

from disclosures import (
    abuse_notice_views,
    consent_views,
    delivery_views,
    inbound_views,
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
    path("notices/", abuse_notice_views.notices, name="abuse_notices"),
    path("notices/<slug:reference>/", abuse_notice_views.notice, name="abuse_notice"),
    path("notices/<slug:reference>/acknowledge/", abuse_notice_views.acknowledge, name="abuse_acknowledge"),
    path("notices/<slug:reference>/fixed/", abuse_notice_views.fixed, name="abuse_fixed"),
    path("notices/<slug:reference>/files/<uuid:file>/", abuse_notice_views.notice_file, name="abuse_notice_file"),
    path("notices/<slug:reference>/disagree/", abuse_notice_views.disagree, name="abuse_disagree"),
    path("notices/<slug:reference>/time/", abuse_notice_views.more_time, name="abuse_time"),
    path("notices/<slug:reference>/counter/", abuse_notice_views.counter, name="counter"),
    path("notices/<slug:reference>/counter/sign/", abuse_notice_views.counter_sign, name="counter_sign"),
    path("notices/<slug:reference>/appeal/", abuse_notice_views.appeal, name="strike_appeal"),
    path("copyright-agent/", policy_views.copyright_agent, name="copyright_agent"),
    path("report/", report_views.start, name="report"),
    path("report/abuse/", report_views.abuse, name="report_abuse"),
    path("report/copyright/", report_views.copyright_notice, name="report_copyright"),
    path("report/mail/", inbound_views.take_mail, name="report_mail"),
    path("transparency/", transparency_views.page, name="transparency"),
    path("transparency/<str:name>.csv", transparency_views.file, name="transparency_file"),
]
