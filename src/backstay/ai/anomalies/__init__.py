"""What is unusual, in streams of numbers and in records of a business, with the reason in words."""

from backstay.ai.anomalies.records import RecordDetector
from backstay.ai.anomalies.steps import Anomaly, AnomalyStep
from backstay.ai.anomalies.streams import StreamDetector

__all__ = ["Anomaly", "AnomalyStep", "RecordDetector", "StreamDetector"]
