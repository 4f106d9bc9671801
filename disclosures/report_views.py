"""The public pages on which abuse is reported: no sign-in, no puzzle, limited by address (pages.md, 21)."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from accounts.doors import is_too_often, public_page, too_often
from disclosures import reporting
from disclosures.models import AbuseReport
from disclosures.report_forms import AbuseForm, CopyrightForm


@public_page
def start(request: HttpRequest) -> HttpResponse:
    """Say what can be reported, and lead to the two forms."""
    return render(request, "disclosures/report.html")


@public_page
def copyright_notice(request: HttpRequest) -> HttpResponse:
    """Take a copyright notice."""
    return _take(request, CopyrightForm(request.POST or None), "disclosures/report_copyright.html")


@public_page
def abuse(request: HttpRequest) -> HttpResponse:
    """Take a report of anything else."""
    return _take(request, AbuseForm(request.POST or None), "disclosures/report_abuse.html")


def _take(request: HttpRequest, form: Any, template: str) -> HttpResponse:
    if request.method == "POST":
        if is_too_often(request, "report_abuse"):
            return too_often(request)
        if form.is_valid():
            [taken] = reporting.take_in(form.raw(), channel=AbuseReport.Channel.FORM, report=form.report())
            words = _("We have your report %(reference)s. A receipt is on the way to your e-mail address.")
            messages.success(request, words % {"reference": taken.case.reference})
            return redirect("disclosures:report")
    return render(request, template, {"form": form})
