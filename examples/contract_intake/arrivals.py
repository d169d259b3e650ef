"""How an offer arrives: a JSON file with what its requester says, and the contract's text beside it.

`python -m examples.contract_intake.arrivals FILE.json [DAYS]` keeps the text and prints the input of the workflow, for
`backstay start --input`; with DAYS the offer is good for so long from now on.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from examples.contract_intake import actions
from examples.contract_intake.models import Offer


def received(metadata: Path) -> Offer:
    """Keep the text under its digest, and answer with the offer that names it."""
    text = actions.registry().keep(metadata.with_suffix(".txt").read_bytes())
    return Offer.model_validate(json.loads(metadata.read_text(encoding="utf-8")) | {"text": text})


def main(file: str, days: str = "") -> None:
    offer = received(Path(file))
    if days:
        offer = offer.model_copy(update={"valid_until": datetime.now(UTC) + timedelta(days=int(days))})
    print(json.dumps({"offer": offer.model_dump(mode="json")}))


if __name__ == "__main__":
    main(*sys.argv[1:])
