import os
import random
import uuid
from datetime import datetime
from pathlib import Path

from backstay.language import rule, workflow


@rule
def sampled(total: int) -> bool:
    print(total)
    name = str(uuid.uuid4())
    home = os.environ["HOME"]
    text = Path("limit").read_text()
    late = datetime.now().hour > 18
    return random.random() < 0.1 or late or name == home or text == ""


@workflow
async def refused(total: int) -> bool:
    return sampled(total)
