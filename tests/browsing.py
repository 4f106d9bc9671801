"""Looking at pages in a real browser: what went wrong on the way, what axe-core finds, where the focus is.

`Visitor` is one browser context with the page in it. It notes every console error or warning, script error, failed
request and request to another host from its first moment on; `complaints()` returns them. Axe-core is run by
`page.evaluate`: the portal's content policy lets no script tag of another origin in, and that is meant to stay so.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import axe_playwright_python
from django.conf import settings
from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, Response

from accounts.models import User
from tests.cast import open_session

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Off by default in axe-core, although it is a rule of WCAG 2.2 AA.
OPTIONS = {
    "runOnly": {"type": "tag", "values": TAGS},
    "rules": {"target-size": {"enabled": True}},
    "resultTypes": ["violations", "incomplete"],
    "preload": False,
}
# Colours under way from one scheme to the other are nobody's colours: what moves is brought to its end first.
RUN = """options => {
    document.getAnimations().forEach(one => one.finish());
    return axe.run(document, options);
}"""
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 320, "height": 640}
SIZES = {"1280": WIDE, "320": NARROW}
SCHEMES = ("light", "dark")
PATIENCE = 30_000
LONGEST_WALK = 80
FOCUS = """() => {
    const at = document.activeElement;
    if (!at || at === document.body) return {at: "nothing", outlined: false, seen: false};
    const style = getComputedStyle(at), box = at.getBoundingClientRect();
    const x = Math.min(Math.max(box.left + box.width / 2, 0), innerWidth - 1);
    const y = Math.min(Math.max(box.top + Math.min(box.height / 2, 12), 0), innerHeight - 1);
    const top = document.elementFromPoint(x, y);
    return {
        at: at.tagName.toLowerCase() + " " + (at.id || at.name || at.textContent.trim().slice(0, 40)),
        outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        seen: box.bottom > 0 && box.top < innerHeight && (at.contains(top) || (top !== null && top.contains(at))),
    };
}"""


@dataclass(frozen=True)
class Findings:
    """What axe-core says of a page in one look: rule and place of each violation, and of what it could not decide."""

    violations: list[str]
    incomplete: list[str]


def say(rules: list[dict[str, Any]]) -> list[str]:
    """Return each place of each rule with what axe-core says of it, in one line."""
    places = [(rule["id"], node) for rule in rules for node in rule["nodes"]]
    return [f"{name}: {' '.join(map(str, node['target']))}: {reason(node)}" for name, node in places]


def reason(node: dict[str, Any]) -> str:
    """Return why axe-core names a place."""
    return "; ".join(check["message"] for check in [*node["any"], *node["all"], *node["none"]])


class Visitor:
    """A browser of one person at one portal."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.origin = origin
        self.context = context
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.heard: list[str] = []
        self.asked: list[str] = []
        self.last: Response | None = None
        self.refused: set[str] = set()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.heard.append(f"script error: {error}"))
        self.page.on("requestfailed", self._fail)
        self.page.on("request", self._note)
        self.page.on("response", self._see)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.heard.append(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _fail(self, request: Request) -> None:
        # What the browser itself gave up when it left the page, like the icon, did not fail.
        if not (request.failure == "net::ERR_ABORTED" and request.url.startswith(self.origin)):
            self.heard.append(f"failed: {request.url} {request.failure}")

    def _note(self, request: Request) -> None:
        self.asked.append(request.url)

    def _see(self, response: Response) -> None:
        if response.request.is_navigation_request() and response.status not in range(300, 400):
            self.last = response
            if response.status >= 400:
                # The browser itself writes into the console that the page answered so.
                self.refused.add(response.url)

    def sign_in(self, user: User) -> Visitor:
        """Give the browser a session of the user, without the sign-in page."""
        value = open_session(user).session_key
        self.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": str(value), "url": self.origin}])
        return self

    def go(self, path: str) -> Visitor:
        """Open a page of the portal."""
        self.asked.clear()
        self.page.goto(urljoin(self.origin, path))
        return self

    @property
    def path(self) -> str:
        return urlsplit(self.page.url).path

    @property
    def status(self) -> int:
        """The status code of the page shown."""
        return self.last.status if self.last else 0

    def main(self) -> str:
        """Return the words of the page's main part, in one line."""
        return " ".join(self.page.locator("main").inner_text().split())

    def complaints(self) -> list[str]:
        """Return what went wrong since the browser was opened: nothing, on a good page."""
        elsewhere = [f"request to another host: {url}" for url in self.asked if not url.startswith(self.origin)]
        return [line for line in self.heard if not self._is_own_status(line)] + elsewhere

    def _is_own_status(self, line: str) -> bool:
        said = "the server responded with a status of 4", "the server responded with a status of 5"
        return any(word in line for word in said) and any(f"({url})" in line for url in self.refused)

    def axe(self) -> Findings:
        """Return what axe-core finds on the page as it is shown now."""
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(AXE)
        found = self.page.evaluate(RUN, OPTIONS)
        return Findings(say(found["violations"]), say(found["incomplete"]))

    def looks(self) -> Iterator[str]:
        """Show the page in each size and colour scheme, without loading it again; yield the look's name."""
        for scheme in SCHEMES:
            self.page.emulate_media(color_scheme=scheme)
            for name, size in SIZES.items():
                self.page.set_viewport_size(size)
                yield f"{scheme} {name}"

    def too_wide(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def weight(self) -> tuple[int, int]:
        """Return (requests, bytes as compressed) of the page when nothing of it is in the browser's cache.

        Counts the page and everything it names. The icon is left out of the requests: browsers ask for it once a site.
        """
        named = self.page.eval_on_selector_all(
            "link[href], script[src], img[src]", "all => all.map(one => one.href || one.src)"
        )
        icon = self.page.eval_on_selector_all("link[rel=icon]", "all => all.map(one => one.href)")
        assert self.last is not None
        size = len(gzip.compress(self.last.body()))
        for url in named:
            answer = self.context.request.get(url, headers={"Accept-Encoding": "gzip"})
            assert answer.ok, url
            size += int(answer.headers["content-length"])
        return 1 + len(set(named) - set(icon)), size

    # ---- By keyboard alone

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def tab_to(self, target: Locator) -> None:
        """Press Tab until the target has the focus; fail when it is never reached, or a stop on the way is not seen.

        Every stop must be outlined, on the screen and not covered (WCAG 2.4.7 and 2.4.11).
        """
        way: list[str] = []
        for _ in range(LONGEST_WALK):
            self.press("Tab")
            stop = self.page.evaluate(FOCUS)
            way.append(stop["at"])
            assert stop["at"] == "nothing" or (stop["outlined"] and stop["seen"]), f"{self.path}: not visible: {stop}"
            if target.evaluate("one => one === document.activeElement"):
                return
        raise AssertionError(f"{self.path}: {target} is not reached by Tab; stops: {way}")

    def enter(self, target: Locator) -> None:
        """Go to the target by Tab, press Enter, and wait for the page it leads to."""
        self.tab_to(target)
        with self.page.expect_navigation():
            self.press("Enter")

    def fill(self, label: str, text: str) -> None:
        """Go to the field by Tab and type."""
        self.tab_to(self.page.get_by_label(label, exact=True))
        self.type(text)

    def focused(self) -> dict[str, Any]:
        """Return where the focus is: `at`, `outlined`, `seen`."""
        found: dict[str, Any] = self.page.evaluate(FOCUS)
        return found


class Pictures:
    """Keeps what somebody sees, in each size and scheme, where `CHICAGOCLOUD_PICTURES` names a folder for it."""

    def __init__(self, begin: str = "") -> None:
        self.folder = os.environ.get("CHICAGOCLOUD_PICTURES", "")
        self.begin = begin
        self.number = 0

    def take(self, visitor: Visitor, name: str) -> None:
        """Keep the page as it is shown now as "01-name-light-1280.png" and so on."""
        self.number += 1
        if not self.folder:
            return
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        for look in visitor.looks():
            # Colours under way from one scheme to the other are nobody's colours.
            visitor.page.evaluate("document.getAnimations().forEach(one => one.finish())")
            file = f"{self.begin}{self.number:02d}-{name}-{look}.png".replace(" ", "-").replace("/", "-")
            visitor.page.screenshot(path=Path(self.folder) / file, full_page=True)
