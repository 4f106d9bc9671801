"""The schedule's numbers for pages and mails: a text asks for the one it names, so that an override holds there."""

from __future__ import annotations

from django import template

from retention import schedule

register = template.Library()


@register.simple_tag
def scheduled(name: str) -> int:
    """Return a number of the schedule by its name: days for "review", months for "code"."""
    return schedule.number(name)
