"""How often a password may be guessed, and what is kept of one."""

from __future__ import annotations

import statistics
import time

import pytest

from kizu_dashboard.signing_in.attempts import FORGOTTEN_S, FREE_BY_ADDRESS, FREE_BY_NAME, LONGEST_WAIT_S, Attempts
from kizu_dashboard.signing_in.passwords import LEAST_LENGTH, hash_password, matches
from kizu_inspect.errors import ConfigError
from signing_world import PASSWORD


def test_each_one_too_many_waits_longer_up_to_a_minute() -> None:
    now, waits = 0.0, []
    attempts = Attempts(lambda: now)
    for number in range(FREE_BY_NAME + 9):
        wait_s = attempts.begin(" KIM" if number % 2 else "Kim", f"10.0.0.{number}")  # each from elsewhere
        waits.append(wait_s)
        if wait_s:
            now += wait_s
            assert attempts.begin("Kim", f"10.0.1.{number}") == 0
    assert waits[:FREE_BY_NAME] == [0.0] * FREE_BY_NAME
    assert waits[FREE_BY_NAME] == 1.0
    assert waits == sorted(waits)
    assert 15 < waits[-1] <= LONGEST_WAIT_S


def test_an_address_is_slowed_whatever_names_it_tries() -> None:
    attempts = Attempts(lambda: 0.0)
    waits = [attempts.begin(f"name {number}", "10.0.0.1") for number in range(FREE_BY_ADDRESS + 1)]
    assert waits[:-1] == [0] * FREE_BY_ADDRESS
    assert waits[-1] > 0
    assert attempts.begin("name 0", "10.0.0.2") == 0


def test_one_network_of_ipv6_is_one_address() -> None:
    attempts = Attempts(lambda: 0.0)
    waits = [attempts.begin(f"name {number}", f"2001:db8::{number:x}") for number in range(FREE_BY_ADDRESS + 1)]
    assert waits[-1] > 0
    assert attempts.begin("another", "2001:db8:0:1::1") == 0


def test_an_address_of_ipv4_is_the_same_where_it_comes_through_ipv6_and_slows_no_other() -> None:
    attempts = Attempts(lambda: 0.0)
    for number in range(FREE_BY_ADDRESS + 1):
        attempts.begin(f"name {number}", "::ffff:10.0.0.1")
    assert attempts.begin("another", "10.0.0.1") > 0
    assert attempts.begin("another", "::ffff:10.0.0.2") == 0


def test_many_at_once_are_no_more_than_one_after_the_other() -> None:
    attempts = Attempts(lambda: 0.0)
    assert [attempts.begin("Kim", f"10.0.0.{n}") > 0 for n in range(20)] == [False] * FREE_BY_NAME + [True] * 15


def test_who_comes_in_starts_anew_and_an_own_account_does_not_help_to_guess_others() -> None:
    attempts = Attempts(lambda: 0.0)
    for _ in range(FREE_BY_NAME - 1):
        attempts.begin("Kim", "10.0.0.1")
    attempts.succeeded("kim", "10.0.0.1")
    assert attempts.begin("Kim", "10.0.0.1") == 0
    guesses = 0
    while attempts.begin(f"other {guesses}", "10.0.0.1") == 0 and guesses < 100:
        guesses += 1
        if attempts.begin("mine", "10.0.0.1") == 0:
            attempts.succeeded("mine", "10.0.0.1")
    assert guesses <= FREE_BY_ADDRESS


def test_failures_are_forgotten_with_time() -> None:
    now = 0.0
    attempts = Attempts(lambda: now)
    for _ in range(FREE_BY_NAME):
        attempts.begin("Kim", "10.0.0.1")
    assert attempts.begin("Kim", "10.0.0.1") > 0
    now += FORGOTTEN_S * FREE_BY_NAME
    assert [attempts.begin("Kim", "10.0.0.1") for _ in range(FREE_BY_NAME)] == [0] * FREE_BY_NAME


def test_they_take_a_bounded_memory() -> None:
    attempts = Attempts(lambda: 0.0, most_kept=20)
    for number in range(60):
        attempts.begin(f"name {number}", f"10.0.0.{number}")
    assert len(attempts) <= 20


def test_only_the_same_password_matches() -> None:
    kept = hash_password(PASSWORD)
    assert kept.startswith("$argon2id$")
    assert PASSWORD not in kept
    assert hash_password(PASSWORD) != kept, "each with a salt of its own"
    assert matches(PASSWORD, kept)
    for other in (PASSWORD + "x", PASSWORD[:-1], "", PASSWORD.upper()):
        assert not matches(other, kept)
    assert not matches(PASSWORD, None)
    assert not matches(PASSWORD, "no hash")


def test_hangul_is_the_same_from_any_keyboard() -> None:
    assert matches("\u1100\u1175\u11b7 1234567", hash_password("\uae40 1234567"))


@pytest.mark.parametrize("length", [0, LEAST_LENGTH - 1, 1025])
def test_one_that_is_too_short_or_too_long_is_refused_unsaid(length: int) -> None:
    with pytest.raises(ConfigError, match=f"found {length} characters; expected 8 to 1024") as raised:
        hash_password("q" * length)
    assert "qq" not in str(raised.value)


def test_a_name_that_nobody_has_costs_the_same_time() -> None:
    kept = hash_password(PASSWORD)
    matches("x", None)

    def seconds(of: str | None) -> float:
        started = time.perf_counter()
        assert not matches("wrong", of)
        return time.perf_counter() - started

    pairs = [(seconds(kept), seconds(None)) for _ in range(7)]
    ratio = statistics.median(nobodys / somebodys for somebodys, nobodys in pairs)
    assert 1 / 3 < ratio < 3
