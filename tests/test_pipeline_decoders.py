"""Decoding in processes of their own: what a picture does to its decoder it does to no other."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from kizu_inspect.errors import ImageError, KizuError
from kizu_inspect.picture.decoding import decode_image
from kizu_inspect.picture.images import encode_png
from kizu_pipeline.decoders import DecoderPool, memory_mb_for
from line_world import ALL_PASS, LineWorld, drawn_png


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    with DecoderPool(2, memory_mb=memory_mb_for(1)) as made:
        yield made


def decoded(pool: DecoderPool, data: bytes, *, max_megapixels: float = 1.0) -> np.ndarray:
    return pool.decode(data, max_megapixels=max_megapixels)


def test_the_same_pixels_from_many_threads(pool: DecoderPool) -> None:
    pictures = [drawn_png(seed) for seed in range(40)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda data: decoded(pool, data), pictures))
    assert all(np.array_equal(one, decode_image(data)) for one, data in zip(found, pictures, strict=True))


@pytest.mark.parametrize("data", [b"", b"no picture", drawn_png()[:-40]], ids=["empty", "other", "truncated"])
def test_errors_are_those_of_the_decoder(pool: DecoderPool, data: bytes) -> None:
    with pytest.raises(ImageError) as here:
        decode_image(data)
    with pytest.raises(ImageError) as there:
        decoded(pool, data)
    assert str(there.value) == str(here.value)


def test_a_large_picture_after_a_small_one_and_back(pool: DecoderPool) -> None:
    large = np.random.default_rng(0).integers(0, 256, (900, 1100, 3), np.uint8)
    for _ in range(2):
        assert np.array_equal(decoded(pool, drawn_png()), decode_image(drawn_png()))
        assert np.array_equal(decoded(pool, encode_png(large)), large)


def test_a_killed_decoder_is_replaced_and_the_picture_decoded(pool: DecoderPool) -> None:
    killed = pool.process_ids
    for process in killed:
        os.kill(process, signal.SIGKILL)
    for _ in range(2):
        assert np.array_equal(decoded(pool, drawn_png()), decode_image(drawn_png()))
    assert not set(killed) & set(pool.process_ids)


def test_more_memory_than_it_may_take_is_one_picture_s_error() -> None:
    picture = encode_png(np.zeros((9_999, 9_999, 3), np.uint8))
    with DecoderPool(1, memory_mb=memory_mb_for(1)) as pool:
        with pytest.raises(ImageError, match="needs more memory than its decoder may take"):
            decoded(pool, picture, max_megapixels=100)
        assert decoded(pool, drawn_png()).shape == (64, 64, 3)


def test_a_decoder_that_hangs_is_given_up() -> None:
    with DecoderPool(1, memory_mb=memory_mb_for(1), longest_s=0.3) as pool:
        assert decoded(pool, drawn_png()).shape == (64, 64, 3)
        os.kill(pool.process_ids[0], signal.SIGSTOP)
        with pytest.raises(ImageError, match=r"takes too long to decode: found more than 0\.3 s"):
            decoded(pool, drawn_png())
        assert decoded(pool, drawn_png()).shape == (64, 64, 3)


def test_a_picture_that_ends_its_decoder_twice_is_an_error() -> None:
    """Whatever the picture did: a process that kills each decoder as soon as it is there stands for it."""
    slow = encode_png(np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), np.uint8))
    with DecoderPool(1, memory_mb=memory_mb_for(3)) as pool:
        ended = threading.Event()

        def kill_all() -> None:
            while not ended.is_set():
                for process in pool.process_ids if pool._workers[0]._ready else []:
                    try:
                        os.kill(process, signal.SIGSEGV)
                    except ProcessLookupError:
                        continue

        killer = threading.Thread(target=kill_all)
        killer.start()
        try:
            with pytest.raises(ImageError, match="picture ends its decoder: found twice by signal"):
                decoded(pool, slow, max_megapixels=3)
        finally:
            ended.set()
            killer.join()
        assert decoded(pool, drawn_png()).shape == (64, 64, 3)


def test_the_decoders_end_with_their_pool() -> None:
    with DecoderPool(2, memory_mb=memory_mb_for(1)) as pool:
        processes = pool.process_ids
    assert not any(Path(f"/proc/{process}").exists() for process in processes)


def test_a_line_whose_decoders_are_killed_judges_every_part(tmp_path: Path, line_bundle: Path) -> None:
    with LineWorld(tmp_path, line_bundle) as world:
        for number in range(60):
            world.drop(f"P{number:02d}.png", seed=number)
        ended, killed = threading.Event(), list[str]()

        def kill_some() -> None:
            while not ended.wait(0.1):
                for status in Path("/proc").glob("[0-9]*/stat"):
                    try:
                        fields = status.read_text().rpartition(")")[2].split()
                        command = (status.parent / "cmdline").read_bytes()
                        if int(fields[1]) == os.getpid() and b"kizu_pipeline.decoders.worker" in command:
                            os.kill(int(status.parent.name), signal.SIGKILL)
                            killed.append(status.parent.name)
                            return
                    except (OSError, ValueError):
                        continue

        killer = threading.Thread(target=kill_some)
        killer.start()
        try:
            summary = world.run(**ALL_PASS)
        finally:
            ended.set()
            killer.join()
        assert killed
        assert summary.files == 60
        assert {record.row.verdict.value for record in world.inspections()} == {"PASS"}


def test_a_decoder_that_cannot_start_is_no_picture_s_doing() -> None:
    with DecoderPool(1, memory_mb=100) as pool, pytest.raises(KizuError, match="a decoder does not start") as raised:
        decoded(pool, drawn_png())
    assert not isinstance(raised.value, ImageError)


def test_what_a_library_prints_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCV_LOG_LEVEL", "DEBUG")
    with DecoderPool(1, memory_mb=memory_mb_for(1)) as pool:
        assert np.array_equal(decoded(pool, drawn_png()), decode_image(drawn_png()))
