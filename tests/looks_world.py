"""Every page of the dashboard, on screens of all sizes, and what assistive technology finds there."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as WaitedTooLong

from browser_world import until_settled

AWAKE = ".answers:not([data-awake=''])"
PAGES = ["/", "/?view=Gallery&heat=true", "/review", "/live", "/live?embed=true", "/quality", "/agreement", "/reports"]
SECTIONS = ["Health", "Claims", "Quarantine", "Limits", "Audit trail", "Retention", "People", "Terminals"]
PAGES += [f"/admin?section={section}" for section in SECTIONS]
SEEN = {
    "/": "tbody tr", "/?view=Gallery&heat=true": ".tile[data-seen]",
    "/review": AWAKE, "/live": ".vega-embed svg", "/live?embed=true": ".vega-embed svg",
    "/quality": ".st-key-places .vega-embed svg", "/agreement": ".kz-table", "/reports": ".st-key-make-PDF button",
}  # fmt: skip
"""What shows that a page is there; one that is not named here has its title."""
CONTRASTS = """(nodes) => {
    const channels = (text) => text.match(/[\\d.]+/g).map(Number)
    const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
    const light = (text) => {
        const [r, g, b] = channels(text).map((c) => linear(c / 255))
        return 0.2126 * r + 0.7152 * g + 0.0722 * b
    }
    const paper = (node) => {
        const colour = getComputedStyle(node).backgroundColor
        return channels(colour)[3] === 0 ? paper(node.parentElement) : colour
    }
    return nodes.map((node) => {
        const [more, less] = [light(getComputedStyle(node).color), light(paper(node))].sort((a, b) => b - a)
        return [node.tagName, (more + 0.05) / (less + 0.05)]
    })
}"""
"""Of each text against what it stands on, as WCAG counts it."""
SIZES = [(820, 1180), (1280, 800), (1920, 1080), (3840, 2160)]


def come_to(page: Page, path: str, *, seen: str | None = None) -> None:
    page.goto(path)
    page.wait_for_selector(seen or SEEN.get(path, "h1, .kz-name, .kz-empty"))
    until_settled(page)


def findings(page: Page) -> list[str]:
    """What axe-core calls serious or critical, in words."""
    told = Axe().run(page).response
    return [
        f"{page.url} {finding['impact']} {finding['id']}: {node['target']} {node['failureSummary']}"
        for finding in told["violations"]
        if finding["impact"] in ("serious", "critical")
        for node in finding["nodes"]
    ]


def at_size(page: Page, width: int, height: int) -> None:
    """From here on the screen is so large; nothing may be wider than it, once all has found its place."""
    page.set_viewport_size({"width": width, "height": height})
    until_settled(page)
    try:
        page.wait_for_function(
            """() => ["html", "[data-testid=stMain]", "[data-testid=stMainBlockContainer]"]
                .map((name) => document.querySelector(name))
                .every((one) => one.scrollWidth <= Math.min(one.clientWidth, innerWidth) + 1)"""
        )
    except WaitedTooLong as error:
        wide = page.locator("[data-testid=stMain]").evaluate("one => one.scrollWidth")
        raise AssertionError(f"{page.url} is {wide} px wide on a screen of {width}") from error
