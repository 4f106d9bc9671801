"""The page that gives a recipient its file, once. Whatever the link lacks, the answer is one."""

from __future__ import annotations

from allauth.core.internal.httpkit import get_client_ip
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.doors import is_too_often, public_page, too_often
from accounts.downloading import download
from disclosures import delivering


@public_page
def delivery(request: HttpRequest, token: str) -> HttpResponse:
    """Ask for one press, and give the file; looking uses nothing up."""
    if is_too_often(request, "open_delivery"):
        return too_often(request)
    if request.method == "POST":
        agent = request.headers.get("User-Agent", "")
        name, content = delivering.open_link(token, ip=get_client_ip(request) or "", agent=agent)
        return download(request, name, "application/octet-stream", content)
    found = delivering.find(token)
    if found is None:
        return render(request, "409.html", {"problem": delivering.ENDED}, status=409)
    return render(request, "disclosures/delivery.html", {"ends_at": found.link_ends_at})
