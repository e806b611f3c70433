"""The dashboard in Korean, in a real browser: every page, two readers at once, and changing the language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from browser_world import browser_of, until_settled, window
from dashboard_world import Plant, cookie_header, enter_people, filled_plant
from kizu_dashboard.signing_in.passwords import hash_password
from looks_world import AWAKE, PAGES, at_size, come_to, findings
from signing_world import HTML, PASSWORD, ask

READ = """() => {
    const found = new Set()
    const add = (text) => { if (text && text.trim()) found.add(text.trim()) }
    const walk = (node) => {
        if (node.nodeType === Node.TEXT_NODE) return add(node.textContent)
        if (node.matches?.("style, script, code, kbd, noscript, [data-testid*=Icon], [lang=en]")) return
        if (!node.closest?.("svg")) {
            for (const name of ["title", "aria-label", "placeholder", "alt"]) add(node.getAttribute?.(name))
        }
        if (node.shadowRoot) walk(node.shadowRoot)
        node.childNodes.forEach(walk)
    }
    walk(document.body)
    return [...found]
}"""
"""All that can be read or heard on the page: texts, hints and labels, also inside of components; of charts the texts."""
COVERED = """() => {
    const box = (one) => one.getBoundingClientRect()
    const who = box(document.querySelector(".kz-who"))
    return [...document.querySelectorAll("[data-testid=stTopNavLink]")].map(box).filter((link) => link.width > 0)
        .some((link) => link.right > who.left && link.left < who.right && link.bottom > who.top && link.top < who.bottom)
}"""
"""Whether the person's name lies over the navigation."""
NAMES = (
    r"P-\d+|press-\d+|plate_\d+\.png|=HYPERLINK\(1\)|L7|top|frame \d+|camera|folder press-3|\d+\.png"
    r"|good|[Ss]cratch|[Dd]ent|[Ss]tain|[Mm]issing[ _]hole|plates|Werk Süd|Kizu|Ana|Eun|Kim|Lee|Mina|Vera"
    r"|only dust|defect score 0\.\d+|picture cannot be judged|picture is truncated or broken: found 12 bytes missing"
    r"|out of memory"
)
"""Of the plant: people, parts, classes, and what the line and people wrote."""
WORDS = (
    r"PASS|REVIEW|REJECT|ERROR|inferno|viridis|cividis|PIN|CSV|PDF|ID|uid"
    r"|(?:LFI-|Score-|Grad-)?CAM(?:\+\+)?|Clopper|Pearson|Wilson|Laney|Cohen"
    r"|KST|UTC|Asia/Seoul|SHA-256|sqlite|SQLite|\d* ?(?:px²?|mm²?|ms|[kMGT]B)|DPPM|decode|judge|cpu|x|y|p|Esc|Enter|Shift|Space"
    r"|kizu(?:\.yaml| run| status| db prune(?: --apply)?)|images\.path|audit_share|user\."
    r"|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{8,}"
)
"""Of the trade: verdicts as lines and files have them, methods, units, settings, commands."""
STREAMLITS = re.compile(
    r"App pages|Choose an option|Choose date|Open|Logo|Navigate to home page|Skip to main content|Show password"
    r"|Increment|Decrement|Clear value|\d+ more|\d+ options? available\."
    r"|(?:Help for|Fullscreen:|Copy Vega-Lite spec:|Download as PNG:|Show data:|Selected Date:) .*"
    r"|(?:day|month|year), .*|.* — (?:start|end)"
)
"""What the framework itself says, mostly to screen readers."""
OVERLAYS = {"Close", "Dismiss"}
"""What the framework's open menus and dialogs say beside; elsewhere they are words of ours."""
ALLOWED = re.compile(rf"(?<![A-Za-z])(?:{NAMES}|{WORDS})(?![A-Za-z])")


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """A station that is silent by now, of which every page tells; Kim has a password."""
    with filled_plant(tmp_path_factory.mktemp("plant"), start=datetime.now(UTC) - timedelta(minutes=90)) as plant:
        enter_people(plant.room.records)
        with plant.room.records.unit() as unit:
            unit.users.set_password("Kim", hash_password(PASSWORD), by="Ana")
        plant.review("P-1005", disposition="defective", decision="accept", defect_class="missing_hole", reason="dust or fibre")
        plant.review("P-1006", decision="accept")
        plant.review("=HYPERLINK(1)")
        yield plant


@pytest.fixture(scope="module")
def korean(program: Browser, plant: Plant, address: str) -> Iterator[BrowserContext]:
    """Ana's browser, which asks for Korean; as the admin she has every page."""
    context = browser_of(program, plant.config, address, "Ana", width=1280, height=800)
    context.set_extra_http_headers({"Accept-Language": "ko-KR,ko;q=0.9,en;q=0.8"})
    yield context
    context.close()


@pytest.fixture
def page(korean: BrowserContext, address: str) -> Iterator[Page]:
    with window(korean, address) as page:
        yield page


def english_left(page: Page) -> list[str]:
    """The texts of the page in which a word of English is left."""
    texts = [text for text in page.evaluate(READ) if not STREAMLITS.fullmatch(text)]
    return sorted(text for text in texts if re.search("[A-Za-z]{2}", ALLOWED.sub("", text)))


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_no_english_left_and_can_be_read_on_any_screen(page: Page, path: str) -> None:
    come_to(page, path)
    for button in page.get_by_text("표로 보기").all():
        button.click()
    if path == "/admin?section=Audit trail":  # what the records say stays as it was written
        page.locator("td").evaluate_all("cells => cells.forEach((cell) => cell.replaceChildren())")
    until_settled(page)
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    assert english_left(page) == []
    assert findings(page) == []
    for width, height in ((1280, 800), (820, 1180)):
        at_size(page, width, height)
        assert page.evaluate(COVERED) is False


@pytest.mark.parametrize("part", ["P-1005", "P-1008", "P-1009", "P-1010"])
def test_a_part_and_the_dialog_of_keys_have_no_english_left(page: Page, plant: Plant, part: str) -> None:
    come_to(page, f"/part?uid={plant.uids[part]}", seen=AWAKE)
    page.get_by_text("판정 과정").click()
    page.keyboard.press("?")
    expect(page.locator("dialog.help")).to_be_visible()
    assert english_left(page) == []
    assert findings(page) == []


def test_a_word_of_english_is_found_wherever_it_stands(page: Page) -> None:
    come_to(page, "/review", seen=AWAKE)
    for change in (
        "document.querySelector('h1, p, .kz').append('left over')",
        "document.querySelector('.kz').title = 'left over'",
        """[...document.querySelectorAll('*')].flatMap((one) => [one, ...(one.shadowRoot?.querySelectorAll('*') ?? [])])
            .find((one) => one.matches('.comment')).placeholder = 'left over'""",
    ):
        page.evaluate(change)
        assert len(english_left(page)) >= 1
        come_to(page, "/review", seen=AWAKE)
    assert english_left(page) == []


def test_two_readers_at_once_are_each_spoken_to_in_their_language(
    program: Browser, korean: BrowserContext, plant: Plant, address: str
) -> None:
    english = browser_of(program, plant.config, address, "Eun", width=1280, height=800)
    with window(korean, address) as one, window(english, address) as other:
        for page, title, silent in ((one, "보고서", "이후 기록 없음"), (other, "Reports", "nothing recorded since")) * 2:
            come_to(page, "/reports")
            expect(page.locator("h1")).to_have_text(title)
            expect(page.get_by_text(silent)).to_be_visible()  # of the station that every page tells of
        expect(one.locator("h1")).to_have_text("보고서")
    english.close()


def test_a_language_is_chosen_when_signing_in_and_kept_in_the_browser(program: Browser, address: str) -> None:
    context = program.new_context(base_url=address, viewport={"width": 1280, "height": 800}, locale="en-GB")
    with window(context, address) as page:
        page.goto("/quality")
        expect(page.get_by_role("button", name="English")).to_have_attribute("aria-pressed", "true")
        page.get_by_role("button", name="한국어").click()
        expect(page.locator("html")).to_have_attribute("lang", "ko")
        assert findings(page) == []
        assert english_left(page) == []
        page.get_by_label("이름").fill("Kim")
        page.get_by_label("비밀번호").fill("wrong password")
        page.get_by_role("button", name="로그인").click()
        expect(page.get_by_role("alert")).to_have_text("이름과 비밀번호가 맞지 않거나 로그인할 수 없는 사용자입니다.")
        page.get_by_label("비밀번호").fill(PASSWORD)
        page.get_by_role("button", name="로그인").click()
        expect(page.locator("h1")).to_have_text("품질")  # where they wanted to go at first
        page.get_by_role("button", name="로그아웃").click()
        expect(page.get_by_role("button", name="로그인")).to_be_visible()
    context.close()


def test_changing_the_language_keeps_the_view(program: Browser, plant: Plant, address: str) -> None:
    context = browser_of(program, plant.config, address, "Kim", width=1280, height=800)
    with window(context, address) as page:
        come_to(page, "/?period=Last+7+days&lot=L7&verdict=%E2%9C%95+REJECT")
        rejects = page.locator("tbody tr")
        expect(rejects).to_have_count(6)
        page.get_by_role("button", name="한국어").click()
        expect(page.get_by_text("적용된 조건: 로트 L7")).to_be_visible()
        expect(page.get_by_role("combobox", name="기간")).to_have_value("최근 7일")
        expect(rejects).to_have_count(6)
        page.get_by_role("button", name="English").click()
        expect(page.get_by_text("Only lot L7")).to_be_visible()
        expect(page.get_by_role("combobox", name="Period")).to_have_value("Last 7 days")
        expect(rejects).to_have_count(6)
        # A link that somebody passed on in the other language opens the same view.
        come_to(page, "/?period=%EC%B5%9C%EA%B7%BC+1%EC%8B%9C%EA%B0%84")
        expect(page.get_by_role("combobox", name="Period")).to_have_value("Last hour")
    context.close()


def test_the_page_itself_says_its_language_and_is_never_taken_for_that_of_another(plant: Plant, address: str) -> None:
    mine = cookie_header(plant.config, plant.session("Kim"))
    for language in ("ko", "en", "ko"):
        page = ask(address, "/quality", cookie=mine, headers=HTML | {"Accept-Language": language, "If-None-Match": "*"})
        assert (page.status, f'<html lang="{language}"' in page.text) == (200, True)
        assert {"etag", "last-modified"} & set(page.headers) == set()
        assert int(page.headers["content-length"]) == len(page.text.encode())
        assert {"Cookie", "Accept-Language"} <= set(page.headers["vary"].split(", "))


@pytest.mark.parametrize("path", ["/", "//evil.example/x", "///evil.example", "/%2fevil.example/", "/%5cevil.example/"])
def test_an_address_in_the_other_language_leads_to_no_other_host(address: str, path: str) -> None:
    found = ask(address, f"{path}?period=%EC%B5%9C%EA%B7%BC+1%EC%8B%9C%EA%B0%84", headers=HTML)
    assert (found.status, found.headers["location"]) == (303, "?period=Last+hour")


def test_a_choice_leads_back_to_pages_of_this_dashboard_alone_and_no_other_site_makes_it(address: str) -> None:
    for back, to in (
        ({"Referer": f"{address}/quality?by=day"}, "/quality?by=day"),
        ({"Referer": "https://evil.example//evil.example/x"}, "/"),
        ({}, "/"),
    ):
        chosen = ask(address, "/language/ko", method="POST", headers=back)
        assert (chosen.status, chosen.headers["location"]) == (303, to)
        assert [cookie.value for cookie in chosen.cookies.values()] == ["ko"]
    assert ask(address, "/language/ko?next=https://evil.example/", method="POST").headers["location"] == "/signin?next=%2F"
    stranger = ask(address, "/language/ko", method="POST", headers={"Origin": "https://evil.example"})
    assert (stranger.status, stranger.cookies) == (403, {})
    assert ask(address, "/language/xx", method="POST").status == 401


def test_a_usual_reason_is_recorded_in_english_and_read_in_korean(page: Page, plant: Plant) -> None:
    come_to(page, f"/part?uid={plant.uids['P-1002']}", seen=AWAKE)
    page.locator(".to-good").click()
    page.get_by_role("button", name="반사 또는 조명").click()
    expect(page.get_by_text("P-1002: 양품(으)로 기록했습니다")).to_be_visible()
    (review,) = plant.record("P-1002").reviews
    assert (review.disposition, review.reason) == ("good", "reflection or light")
    expect(page.locator("dd", has_text="반사 또는 조명")).to_be_visible()


def test_the_further_filters_have_no_english_left_and_find_by_their_korean_words(page: Page, plant: Plant) -> None:
    come_to(page, "/")
    page.get_by_role("button", name="필터 더 보기").click()
    decision = page.get_by_role("combobox", name="판정", exact=True)
    expect(decision).to_be_visible()
    decision.click()
    expect(page.get_by_role("option", name="불량: missing hole")).to_be_visible()
    assert set(english_left(page)) <= OVERLAYS
    page.get_by_role("option", name="미판정").click()
    expect(page.get_by_text("적용된 조건: 미판정")).to_be_visible()
    undecided = [part for part in plant.uids if not plant.record(part).reviews]
    expect(page.locator("tbody tr")).to_have_count(len(undecided))


def test_the_gallery_decides_for_many_in_korean_and_the_records_have_it_in_english(page: Page, plant: Plant) -> None:
    come_to(page, "/?view=Gallery")
    page.get_by_role("button", name="이 페이지 모두 선택").click()
    expect(page.locator(".unseen")).to_contain_text("아직 화면에 표시되지 않았습니다")
    page.get_by_role("button", name="선택 해제").click()
    for part in ("P-1001", "P-1007", "P-1006"):
        tile = page.locator(f".tile[data-uid='{plant.uids[part]}']")
        tile.scroll_into_view_if_needed()
        expect(tile).to_have_attribute("data-seen", "1")
        tile.locator(".picture").click()
    page.get_by_role("button", name="선택한 부품 판정…").click()
    dialog = page.get_by_role("dialog", name="선택한 부품 판정")
    expect(dialog.get_by_text("저장을 누르기 전에는 아무것도 저장되지 않습니다")).to_be_visible()
    assert set(english_left(page)) <= OVERLAYS
    for answer in ("자동 판정 확정:", "판단 불가:", "기타 불량:", "Dent:"):
        dialog.get_by_role("radio", name=answer).check(force=True)
        expect(dialog.get_by_role("button", name=re.compile("부품 3개 중 .개 저장"))).to_be_visible()
        until_settled(page)
        assert set(english_left(page)) <= OVERLAYS
    dialog.get_by_role("combobox", name="처리").click()
    page.get_by_role("option", name="재작업").click()
    dialog.get_by_role("button", name="부품 3개 중 2개 저장").click()
    expect(dialog.get_by_role("alert")).to_contain_text("사유를 쓰십시오")
    dialog.get_by_role("textbox").fill("먼지")
    dialog.get_by_role("button", name="부품 3개 중 2개 저장").click()
    expect(page.get_by_role("status").filter(has_text="부품 3개 중 2개를 불량으로 기록했습니다: dent.")).to_be_visible()
    expect(dialog).to_have_count(0)
    assert english_left(page) == []
    (review,) = plant.record("P-1007").reviews
    assert (review.disposition, review.defect_class, review.treatment, review.reason) == ("defective", "dent", "rework", "먼지")
