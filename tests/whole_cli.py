"""The command-line application with every command whole, for tests that call it in this process."""

from __future__ import annotations

from kizu.main import build_app

__all__ = ["app"]

app = build_app()
