from decimal import Decimal

from backstay.language import rule

FACTOR = 3


@rule
def scaled(total: Decimal) -> Decimal:
    return total * FACTOR
