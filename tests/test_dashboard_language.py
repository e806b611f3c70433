"""Texts in the reader's language: the catalogues hold what the code says, and each reader is spoken to in their own."""

from __future__ import annotations

import ast
import string
import threading
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir

from kizu_dashboard.addresses import OFFERED, in_readers_words
from kizu_dashboard.components.assets import texts_in
from kizu_dashboard.failing import OF_THE_RECORDS, error_text
from kizu_dashboard.filters import decision_of
from kizu_dashboard.language.asking import language_for
from kizu_dashboard.language.catalogues import catalogue_of
from kizu_dashboard.language.extracting import html_texts, python_texts
from kizu_dashboard.language.speaking import ENGLISH, LANGUAGES, ask_sessions, known, language_now, say, say_count, speaking
from kizu_dashboard.reasons import reason_said
from kizu_dashboard.settings import DashboardSettings
from kizu_dashboard.signing_in.sessions import own_cookie
from kizu_inspect.decide import decide
from kizu_inspect.errors import RecordError
from kizu_inspect.recipe import ClassRule
from kizu_inspect.sums.scores import standing_text

ROOT = Path(__file__).parent.parent
OTHERS = [language for language in LANGUAGES if language != ENGLISH]
KEYWORDS = {"say": None, "marked": None, "say_count": (1, 2)}


def texts_of_the_code() -> set[str | tuple[str, ...]]:
    """What `make texts` finds."""
    mappings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["babel"]["mappings"]
    methods = [(one["pattern"], one["method"]) for one in mappings]
    found = extract_from_dir(ROOT, method_map=methods, keywords=KEYWORDS, directory_filter=lambda path: ".venv" not in path)
    return {text for _, _, text, _, _ in found}


def places(text: str) -> set[str]:
    """The names of its {places}."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def faults(catalogue: Catalog, texts: set[str | tuple[str, ...]]) -> list[str]:
    """What is wrong with a catalogue for these texts, in words."""
    there = {message.id: message for message in catalogue if message.id}
    told = [f"not there: {text}" for text in texts - set(there)]
    for text, message in there.items():
        said = message.string if isinstance(message.string, tuple) else (message.string,)
        asked = text[-1] if isinstance(text, tuple) else text
        if text not in texts:
            told.append(f"said nowhere: {text}")
        if message.fuzzy:
            told.append(f"fuzzy: {text}")
        if not all(said):
            told.append(f"not translated: {text}")
        elif any(places(one) != places(asked) for one in said):
            told.append(f"other places: {text}")
    return told


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_translated_with_its_places_and_none_is_doubtful_or_left_over(language: str) -> None:
    texts = texts_of_the_code()
    assert len(texts) > 500
    assert faults(catalogue_of(language), texts) == []


def test_what_is_wrong_with_a_catalogue_is_found() -> None:
    catalogue = Catalog(locale="ko")
    catalogue.add("{count} boxes", "상자 {counts}개")
    catalogue.add("Good", "")
    catalogue.add("Back", "뒤로", flags=["fuzzy"])
    catalogue.add(("{count} part", "{count} parts"), ("부품",))
    catalogue.add("Gone", "없음")
    texts: set[str | tuple[str, ...]] = {"{count} boxes", "Good", "Back", ("{count} part", "{count} parts"), "New"}
    assert sorted(faults(catalogue, texts)) == [
        "fuzzy: Back",
        "not there: New",
        "not translated: Good",
        "other places: ('{count} part', '{count} parts')",
        "other places: {count} boxes",
        "said nowhere: Gone",
    ]


def test_texts_are_found_wherever_they_stand() -> None:
    code = (
        b"""x = f'<b>{say("inside {n}", n=1)}</b>'\ny = [marked("kept"), say_count("one " "part", "many", 2), other("not")]"""
    )
    assert [text for _, _, text, _ in python_texts(BytesIO(code), (), (), {})] == ["kept", ("one part", "many"), "inside {n}"]
    markup = b"""<p title="A hint">Words <kbd>Enter</kbd> and more</p><i>\xc2\xbd</i><input placeholder="Type">"""
    assert [text for _, _, text, _ in html_texts(BytesIO(markup), (), (), {})] == ["A hint", "Words", "and more", "Type"]
    for wrong in (b"say(text)", b'say(f"of {n}")', b'say_count("one", many, 2)'):
        with pytest.raises(ValueError, match="expected the text itself"):
            list(python_texts(BytesIO(wrong), (), (), {}))


def test_nothing_is_said_before_there_is_a_reader() -> None:
    """What is said at import would speak the language of whoever came first, for ever."""
    early = []
    for path in (ROOT / "dashboard").rglob("*.py"):
        pieces: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
        while pieces:
            node = pieces.pop()
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"say", "say_count", "known"}:
                early.append(f"{path.name}:{node.lineno}")
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            # Of a function what is computed with its definition: defaults and decorators.
            pieces += [*node.args.defaults, *getattr(node, "decorator_list", [])] if inside else ast.iter_child_nodes(node)
    assert early == []


def test_what_the_records_say_to_people_is_as_they_say_it() -> None:
    told = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "db").rglob("*.py"))
    assert [text for text in OF_THE_RECORDS if f'"{text}"' not in told] == []


def test_a_text_is_said_in_the_language_and_english_where_there_is_none() -> None:
    assert say("No part waits for your decision") == "No part waits for your decision"
    with speaking("ko"):
        assert say("No part waits for your decision") == "판정을 기다리는 부품이 없습니다"
        assert say("{count} boxes go with your decision", count=3) == "상자 3개가 판정과 함께 저장됩니다"
        assert {say_count("{count:,} day", "{count:,} days", number) for number in (1, 2)} == {"1일", "2일"}
        assert known("a class of the plant {with braces}") == "a class of the plant {with braces}"
        assert known("") == "", "the catalogue's own head is no text"
    assert [say_count("{count:,} day", "{count:,} days", number) for number in (1, 2)] == ["1 day", "2 days"]
    with pytest.raises(ValueError, match="expected one of en, ko"), speaking("tlh"):
        pass


def test_a_components_texts_are_those_of_its_own_files() -> None:
    assert texts_in("making.js", "part_strip.js") == {}
    with speaking("ko"):
        assert texts_in("making.js", "part_strip.js") == {"no picture": "사진 없음", "picture missing": "사진 누락"}


@pytest.mark.parametrize(
    ("cookies", "accepted", "configured", "language"),
    [
        ({"kizu-language": "ko"}, "en", "en", "ko"),
        ({"kizu-language": "en"}, "ko", "ko", "en"),
        ({"kizu-language": "xx"}, "ko", None, "ko"),
        ({}, "ko", "en", "en"),
        ({}, "ko-KR,ko;q=0.9,en;q=0.8", None, "ko"),
        ({}, "en-GB, ko;q=0.5", None, "en"),
        ({}, "ko;q=0.4, de, en;q=0.6", None, "en"),
        ({}, "de, KO;q=0.1", None, "ko"),
        ({}, "ko;q=0, fr", None, "en"),
        ({}, "ko;q=much,,;,\xff", None, "en"),
        ({}, None, None, "en"),
    ],
)
def test_the_language_is_the_readers_choice_then_the_plants_then_the_browsers(
    cookies: dict[str, str], accepted: str | None, configured: Any, language: str
) -> None:
    for settings in (DashboardSettings(language=configured), DashboardSettings(language=configured, https=True)):
        held = {own_cookie(name, settings): value for name, value in cookies.items()}
        assert language_for(held, accepted, settings) == language


@pytest.fixture
def browsers() -> Iterator[threading.local]:
    """Tells, as the server does, which browser a thread serves."""
    of_thread = threading.local()
    ask_sessions(lambda: getattr(of_thread, "language", None))
    yield of_thread
    ask_sessions(lambda: None)


def test_two_browsers_at_once_are_spoken_to_each_in_its_language(browsers: threading.local) -> None:
    both = threading.Barrier(2)

    def script(language: str) -> list[str]:
        browsers.language = language
        told = []
        for _ in range(200):
            both.wait()
            told.append(say("Good"))
        return told

    with ThreadPoolExecutor(2) as pool:
        korean, english = pool.map(script, ["ko", "en"])
    assert set(korean) == {"양품"}
    assert set(english) == {"Good"}
    assert language_now() == "en", "a thread that serves nobody speaks English"


def test_addresses_open_the_same_view_in_any_language() -> None:
    for name, texts in OFFERED.items():
        for text in texts:
            english = urlencode({name: text, "lot": "L7"})
            with speaking("ko"):
                assert known(text) != text, f"{name}: {text}"
                korean = in_readers_words(english)
                assert korean == urlencode({name: known(text), "lot": "L7"})
                assert in_readers_words(korean) == korean
            assert in_readers_words(korean) == english
    with speaking("ko"):
        assert in_readers_words("lot=All&suspected=good") == "lot=All&suspected=good", "names are the plant's own"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_decision_is_understood_as_any_language_writes_it(language: str) -> None:
    with speaking(language):
        assert decision_of("양품") == decision_of("good") == ("good", None)
        assert decision_of("불량: scratch") == decision_of("defective: scratch") == ("defective", "scratch")
        assert decision_of("훌륭: scratch") == (None, "훌륭: scratch")


def test_every_reason_of_a_verdict_is_said_in_korean() -> None:
    classes = ["good", "scratch", "missing hole"]
    limits: dict[str, Any] = {"pass_below": 0.2, "reject_from": 0.6}
    rules = {"scratch": ClassRule(severity="critical"), "missing hole": ClassRule(severity="minor", reject_from=None)}
    reasons = [
        decide(np.array(p), classes, good, **limits, **more).reason
        for p, good, more in [
            ([0.95, 0.03, 0.02], "good", {}),
            ([0.95, 0.03, 0.02], "good", {"novelty": 9.5, "novelty_limit": 3.0}),
            ([0.6, 0.3, 0.1], "good", {"found": ["scratch", "missing hole"]}),
            ([0.6, 0.3, 0.1], "good", {"rules": rules}),
            ([0.1, 0.1, 0.8], "good", {"rules": rules}),
            ([0.2, 0.7, 0.1], None, {}),
        ]
    ]
    assert [reason_said(reason) for reason in reasons] == reasons
    with speaking("ko"):
        said = [reason_said(reason) for reason in reasons]
    assert said[0] == "불량 점수 0.050 < PASS 한계값 0.200"
    assert said[3] == "scratch: 불량 점수 0.400, PASS 한계값 0.200과 REJECT 한계값 0.600 사이; 치명 불량: scratch"
    english = {"defect", "score", "limit", "between", "critical:", "minor:", "novelty", "probable:", "is"}
    assert [reason for reason in said if english & set(reason.split())] == []


def test_a_reason_that_nobody_knows_stays_letter_by_letter() -> None:
    for reason in ("", "by hand", "defect score 0.050 < pass limit 0.200; by hand", "critical: {0}"):
        with speaking("ko"):
            assert reason_said(reason) == ("치명 불량: {0}" if reason == "critical: {0}" else reason)


def test_where_a_score_stands_is_known_in_every_case() -> None:
    scores = [1e-12, 0.02, 0.19, 0.4, 0.6, 0.9, 1 - 1e-12]
    with speaking("ko"):
        for score in scores:
            english = standing_text(score, pass_below=0.2, reject_from=0.6)
            assert known(english) != english


def test_an_error_says_our_words_in_korean_and_what_was_found_as_it_is() -> None:
    error = RecordError(
        "Say why", found="no reason", expected="a few words for the audit trail", next_step="Take the next one."
    )
    strange = RecordError("the disk {0} is full", found=17)
    assert error_text(error) == str(error)
    assert error_text(strange) == str(strange)
    with speaking("ko"):
        assert (
            error_text(error)
            == "사유를 쓰십시오: 입력 사유 없음, 기대값 감사 추적에 남길 짧은 설명. 다음 부품으로 넘어가십시오."
        )
        assert error_text(strange) == "the disk {0} is full: 입력 17"
    assert str(error).startswith("Say why: found no reason"), "the log and the records stay English"
