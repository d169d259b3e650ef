"""Secrets by the names of environment variables: they stand neither in code nor in a file that is committed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from backstay.errors import NotRetryable


class CredentialMissing(NotRetryable):
    """An environment variable that a server needs is not set; nothing was called."""

    code = "CREDENTIAL"


def filled(headers: Mapping[str, str], server: str) -> dict[str, str]:
    """Headers with the values of environment variables in place of `${NAME}`; raises CredentialMissing naming one."""
    return {
        name: re.sub(r"\$\{(\w+)\}", lambda found: variable(found[1], server), text) for name, text in headers.items()
    }


def variable(name: str, server: str) -> str:
    """The value of an environment variable."""
    value = os.environ.get(name, "")
    if not value:
        raise CredentialMissing(f"server {server!r} needs the environment variable {name}, which is not set")
    return value
