"""Files in forms: a field that gives checked uploads, and the mark of the pages that take them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.utils.functional import lazy
from django.utils.translation import gettext as _

from accounts.uploads import MEGABYTE, MOST_BYTES, MOST_BYTES_TOGETHER, Upload, check_upload

MOST_FILES = 5
ACCEPT = ".pdf,.png,.jpg,.jpeg,.txt,.log"
# A refused file answers 422: the page stays, nothing was kept.
REFUSED = 422
View = TypeVar("View", bound=Callable[..., HttpResponse])


def takes_files(view: View) -> View:
    """Mark a page whose form may carry files: it is let through with more than other pages."""
    view.takes_files = True  # type: ignore[attr-defined]
    return view


def accepts_files(view: Any) -> bool:
    """Return whether a view, or the class it was made from, is marked."""
    return bool(getattr(view, "takes_files", False) or getattr(getattr(view, "view_class", None), "takes_files", False))


class FilesInput(forms.FileInput):
    """The browser's own field for files, several at once."""

    allow_multiple_selected = True


def _hint(most: int) -> str:
    if most == 1:
        return _("PDF, PNG, JPEG or plain text, at most %(size)d MB.") % {"size": MOST_BYTES // MEGABYTE}
    return _("At most %(most)d files: PDF, PNG, JPEG or plain text. Each at most %(size)d MB.") % {
        "most": most,
        "size": MOST_BYTES // MEGABYTE,
    }


class UploadsField(forms.FileField):
    """Files that were checked, as a list of `Upload`; empty when none was sent."""

    def __init__(self, *, most: int = MOST_FILES, **kwargs: Any) -> None:
        self.most = most
        kind = FilesInput if most > 1 else forms.FileInput
        kwargs.setdefault("widget", kind(attrs={"accept": ACCEPT}))
        kwargs.setdefault("help_text", lazy(_hint, str)(most))
        super().__init__(**kwargs)

    def clean(self, data: Any, initial: Any = None) -> list[Upload]:
        """Return what was sent, checked; raise ValidationError in plain words for the first that is not taken."""
        files: Sequence[Any] = data if isinstance(data, list | tuple) else [data] if data else []
        if self.required and not files:
            raise ValidationError(self.error_messages["required"], code="required")
        if len(files) > self.most:
            raise ValidationError(_("Send at most %(most)d files at once.") % {"most": self.most}, code="many")
        if sum(file.size or 0 for file in files) > MOST_BYTES_TOGETHER:
            most = MOST_BYTES_TOGETHER // MEGABYTE
            raise ValidationError(
                _("These files are larger than %(most)d MB together. Send them apart.") % {"most": most}, code="size"
            )
        return [check_upload(file) for file in files]
