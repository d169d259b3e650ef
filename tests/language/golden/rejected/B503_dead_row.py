from decimal import Decimal
from typing import Any

from backstay.language import DecisionTable

from pydantic import BaseModel

from backstay.actions import action
from backstay.commands import note, sleep
from backstay.language import rule, workflow


levels = DecisionTable(
    "levels",
    inputs={"amount": "number"},
    rows=[{"amount": "< 100", "then": "low"}, {"then": "high"}, {"amount": "> 900", "then": "board"}],
)
