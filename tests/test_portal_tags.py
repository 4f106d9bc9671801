"""What pages and mails write alike: moments, days, money, the navigation, the error summary."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import pytest
from django import forms
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.urls import path
from django.utils import timezone

from accounts.templatetags import portal_tags

WINTER = datetime(2026, 12, 22, 16, 0, tzinfo=UTC)


def nothing(request):
    """Stand for a page: only its address is used."""


urlpatterns = [path("", nothing, name="start"), path("invoices/", nothing, name="bills")]


@pytest.fixture(autouse=True)
def chicago():
    with timezone.override("America/Chicago"):
        yield


def test_a_moment_names_its_place_and_carries_the_instant_in_utc():
    assert portal_tags.moment(WINTER) == (
        '<time datetime="2026-12-22T16:00:00Z">22 December 2026, 10:00 (Chicago)</time>'
    )


def test_a_moment_is_shown_in_the_zone_in_use():
    with timezone.override("America/Los_Angeles"):
        assert portal_tags.moment_text(WINTER) == "22 December 2026, 08:00 (Los Angeles)"


def test_the_day_of_an_instant_is_that_of_the_zone_in_use():
    just_after_midnight_in_london = datetime(2026, 12, 22, 0, 30, tzinfo=UTC)

    assert portal_tags.day_text(just_after_midnight_in_london) == "21 December 2026"
    assert 'datetime="2026-12-22T00:30:00Z"' in portal_tags.day(just_after_midnight_in_london)


def test_a_plain_date_stays_the_same_day_everywhere():
    with timezone.override("Pacific/Kiritimati"):
        assert portal_tags.day(date(2033, 12, 31)) == '<time datetime="2033-12-31">31 December 2033</time>'


@pytest.mark.parametrize("show", [portal_tags.moment, portal_tags.moment_text, portal_tags.day, portal_tags.day_text])
def test_no_time_is_written_as_nothing(show):
    assert show(None) == ""


@pytest.mark.parametrize(
    ("cents", "currency", "text"),
    [
        (123450, "USD", "$1,234.50"),
        (0, "USD", "$0.00"),
        (5, "EUR", "€0.05"),
        (-123450, "USD", "−$1,234.50"),
        (10**15 + 1, "CHF", "10,000,000,000,000.01 CHF"),
    ],
)
def test_money_is_exact_to_the_cent(cents, currency, text):
    assert portal_tags.money(cents, currency) == text


def test_the_zone_in_use_is_named_with_its_abbreviation():
    assert re.fullmatch(r"Chicago \(C[SD]T\)", portal_tags.zone_name())


@pytest.mark.urls(__name__)
@pytest.mark.parametrize(
    ("shown", "mark"),
    [("/invoices/", ' aria-current="page"'), ("/invoices/7/", ' aria-current="true"'), ("/", "")],
)
def test_the_navigation_marks_the_part_that_is_open(shown, mark):
    context = {"request": RequestFactory().get(shown)}

    assert portal_tags.nav_item(context, "bills", "Invoices") == f'<li><a href="/invoices/"{mark}>Invoices</a></li>'


@pytest.mark.urls(__name__)
def test_the_start_page_is_not_marked_on_every_page():
    assert "aria-current" not in portal_tags.nav_item({"request": RequestFactory().get("/invoices/")}, "start", "Start")


@pytest.mark.urls(__name__)
def test_the_navigation_needs_no_request_and_escapes_its_labels():
    assert portal_tags.nav_item({}, "bills", "<b>") == '<li><a href="/invoices/">&lt;b&gt;</a></li>'


class PayForm(forms.Form):
    """One of each: a hidden field, radio buttons, a text field, an error of no one field."""

    submission = forms.UUIDField(widget=forms.HiddenInput)
    method = forms.ChoiceField(choices=[("a", "A")], widget=forms.RadioSelect)
    note = forms.CharField(help_text="A word will do")

    def clean(self):
        raise forms.ValidationError("Pay less")


def test_each_error_leads_to_a_field_that_can_take_the_focus():
    form = PayForm({})

    targets = [target for target, _ in portal_tags.faults(form)]

    assert targets == ["id_method_0", "id_method_0", "id_method_0", "id_note"]
    page = render_to_string("partials/error_summary.html", {"form": form}) + render_to_string(
        "partials/fields.html", {"form": form}
    )
    for target in targets:
        assert f'href="#{target}"' in page
        assert f' id="{target}"' in page


def test_hint_and_error_of_a_field_are_tied_to_its_input():
    page = render_to_string("partials/fields.html", {"form": PayForm({})})

    for named in re.findall(r'aria-describedby="([^"]+)"', page):
        for name in named.split():
            assert f' id="{name}"' in page


def test_a_form_without_errors_has_no_summary():
    assert render_to_string("partials/error_summary.html", {"form": PayForm()}).strip() == ""
