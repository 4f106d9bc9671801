"""Errors that an act raises and a door turns into a message, a 409 or a log line."""

from __future__ import annotations


class NotActionable(Exception):
    """The object is in a state that does not allow the act; the text names object, state and the way out."""
