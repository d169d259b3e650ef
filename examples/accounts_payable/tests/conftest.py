"""Every story has an ERP of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.accounts_payable.erp import Erp, seed


@pytest.fixture
def erp(home: Path) -> Erp:
    """The ERP with its master data and no outages."""
    return seed(home / "erp.db", faults=False)
