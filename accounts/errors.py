"""Errors that an act raises and a door turns into a message, a 409 or a log line."""

from __future__ import annotations

# A form counts once, whoever sends its id.
USED_FORM = "This form was used already. Open the page again and send it once more."


class NotActionable(Exception):
    """The object is in a state that does not allow the act; the text names object, state and the way out."""
