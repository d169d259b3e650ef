"""What every AI step answers. The shape is defined beside the other shapes that workflows may read."""

from backstay.judged import Judged, Source

__all__ = ["Judged", "Source"]
