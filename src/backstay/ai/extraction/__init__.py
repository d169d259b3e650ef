"""`Extractor`: typed fields from a document, by labels, layout, arithmetic and what corrections taught."""

from backstay.ai.extraction.consulting import Consulting
from backstay.ai.extraction.extractor import Extractor, Learned
from backstay.judged import Extraction, FieldRead, Lost

__all__ = ["Consulting", "Extraction", "Extractor", "FieldRead", "Learned", "Lost"]
