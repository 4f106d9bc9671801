"""Light and dark as the reader chose: the choice wins over what the device asks, and without one the device decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
from playwright.sync_api import BrowserContext

from tests.browsing import Visitor
from tests.servers import Portal

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("committed")]
CHOOSE = "chosen => { if (chosen) document.documentElement.dataset.theme = chosen; }"
GROUND = "getComputedStyle(document.documentElement).backgroundColor"
LIGHT, DARK = "rgb(255, 255, 255)", "rgb(20, 23, 26)"


@pytest.mark.parametrize(
    ("asked", "chosen", "ground"),
    [
        ("light", "", LIGHT),
        ("dark", "", DARK),
        ("light", "dark", DARK),
        ("dark", "light", LIGHT),
        ("dark", "dark", DARK),
    ],
)
def test_the_readers_choice_wins_over_the_device(
    new_context: Callable[..., BrowserContext],
    live_portal: Portal,
    asked: Literal["light", "dark"],
    chosen: str,
    ground: str,
) -> None:
    visitor = Visitor(new_context(color_scheme=asked), live_portal.url).go("/help/")

    visitor.page.evaluate(CHOOSE, chosen)

    assert visitor.page.evaluate(GROUND) == ground
    visitor.page.emulate_media(media="print")
    assert visitor.page.evaluate(GROUND) == LIGHT
