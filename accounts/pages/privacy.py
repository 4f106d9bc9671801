"""What the portal says about itself to browsers: it honours Global Privacy Control."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

# Since when the statement has been true (the format's own field, an ISO 8601 date).
GPC_SINCE = "2026-11-26"


@require_safe
@cache_control(public=True, max_age=86_400)
def gpc(request: HttpRequest) -> JsonResponse:
    """Answer the GPC support resource (W3C Global Privacy Control, section 4)."""
    return JsonResponse({"gpc": True, "lastUpdate": GPC_SINCE})
