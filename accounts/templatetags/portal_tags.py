"""What the pages and mails write alike: moments, days, money, the navigation and the time zone.

A moment is always shown with its place ("22 December 2026, 10:00 (Chicago)") and, on pages, inside a
`<time>` whose `datetime` is the same instant in UTC, so that no reader has to guess. The `*_text` filters are
for mails.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from django import template
from django.forms import BaseForm, BoundField
from django.template import Context
from django.urls import reverse
from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

register = template.Library()

SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£"}


def place() -> str:
    """Return the place that stands for the time zone in use: the city of its name, or the name itself."""
    return timezone.get_current_timezone_name().rpartition("/")[2].replace("_", " ")


@register.filter(expects_localtime=False)
def moment_text(at: datetime | None) -> str:
    """Return `at` (aware) as "22 December 2026, 10:00 (Chicago)"; nothing for none."""
    if not at:
        return ""
    local = timezone.localtime(at)
    return _("%(day)s, %(time)s (%(place)s)") % {
        "day": date_format(local, "j F Y"),
        "time": date_format(local, "H:i"),
        "place": place(),
    }


@register.filter(expects_localtime=False)
def day_text(when: date | datetime | None) -> str:
    """Return the day of `when` as "22 December 2026": an instant's day is that of the time zone in use."""
    if not when:
        return ""
    return date_format(timezone.localtime(when) if isinstance(when, datetime) else when, "j F Y")


@register.filter(expects_localtime=False)
def moment(at: datetime | None) -> SafeString | str:
    """Return `moment_text` inside a `<time>` that carries the instant in UTC."""
    return format_html('<time datetime="{}">{}</time>', _utc(at), moment_text(at)) if at else ""


@register.filter(expects_localtime=False)
def day(when: date | datetime | None) -> SafeString | str:
    """Return `day_text` inside a `<time>`: an instant carries its UTC time, a plain date itself."""
    if not when:
        return ""
    machine = _utc(when) if isinstance(when, datetime) else when.isoformat()
    return format_html('<time datetime="{}">{}</time>', machine, day_text(when))


@register.filter
def money(cents: int | None, currency: str = "USD") -> str:
    """Return `cents` as "$1,234.50", or "1,234.50 CHF" where the currency has no sign of its own here."""
    if cents is None:
        return ""
    digits = number_format(Decimal(abs(cents)) / 100, decimal_pos=2, use_l10n=True, force_grouping=True)
    sign = "−" if cents < 0 else ""
    symbol = SYMBOLS.get(currency)
    return f"{sign}{symbol}{digits}" if symbol else f"{sign}{digits} {currency}"


@register.simple_tag
def zone_name() -> str:
    """Return the time zone in use for the footer: "Chicago (CST)"."""
    return f"{place()} ({timezone.localtime().tzname()})"


@register.simple_tag(takes_context=True)
def nav_item(context: Context, url_name: str, label: str) -> SafeString:
    """Return one entry of the navigation, marked when the page shown is it or lies under it."""
    url = reverse(url_name)
    path = getattr(context.get("request"), "path", "")
    current = "page" if path == url else "true" if url != "/" and path.startswith(url) else ""
    mark = format_html(' aria-current="{}"', current) if current else ""
    return format_html('<li><a href="{}"{}>{}</a></li>', url, mark, label)


@register.filter
def faults(form: BaseForm) -> list[tuple[str, str]]:
    """Return (id of the field to mend, sentence) for each error of `form`, in the order of the page.

    An error of no one field leads to the first field the reader can see.
    """
    seen = form.visible_fields()
    first = _target(seen[0]) if seen else "main"
    general = [(first, str(error)) for error in form.non_field_errors()]
    hidden = [(first, str(error)) for field in form.hidden_fields() for error in field.errors]
    return general + hidden + [(_target(field), str(error)) for field in seen for error in field.errors]


def _target(field: BoundField) -> str:
    # A group of radio buttons has no element with the plain id: its first button is what can take the focus.
    return f"{field.auto_id}_0" if field.use_fieldset else field.auto_id


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
