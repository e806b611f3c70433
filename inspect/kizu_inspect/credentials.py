"""Secrets from files, and whose certificates are trusted."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from kizu_inspect.errors import ConfigError

__all__ = ["read_secret", "tls_context"]


def read_secret(file: Path | None, variable: str, *, setting: str) -> str | None:
    """The secret on the file's one line, or without a file in the environment variable; None where there is neither.

    Raises ConfigError, which never shows the secret, where the file cannot be read, or it is no single line.
    """
    if file is None:
        where, secret = f"the environment variable {variable}", os.environ.get(variable, "")
        if not secret:
            return None
    else:
        where = f"the file {file}"
        try:
            secret = file.read_text(encoding="utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{where} cannot be read",
                found=getattr(error, "strerror", None) or "no UTF-8 text",
                expected="a secret on one line",
                next_step=f"Write it, or correct {setting}.",
            ) from None
    if not secret or not secret.isprintable():
        raise ConfigError(
            f"{where} holds no secret",
            found="several lines, or characters that cannot be printed" if secret else "nothing",
            expected="a secret on one line",
            next_step=f"Write it, or correct {setting}.",
        )
    return secret


def tls_context(ca_file: Path | None, *, setting: str) -> ssl.SSLContext:
    """Checks certificates and names, by the system's authorities or those in the file. Raises ConfigError for a wrong file."""
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:  # of which SSLError is one
        raise ConfigError(
            f"the certificates in {ca_file} cannot be read", found=error.strerror or error, expected="a PEM file",
            next_step=f"Correct {setting}.",
        ) from None  # fmt: skip
