"""Labelled mails of a small support desk, for tests: enough to learn from, and some to try it on."""

from __future__ import annotations

EXAMPLES: dict[str, list[str]] = {
    "billing": [
        "I was charged twice for my order", "The invoice shows the wrong amount", "Why is there an extra fee on my bill",
        "Please send me the invoice for March", "My card was billed two times", "The amount on the invoice is too high",
        "I do not understand this charge on my bill", "Can I get a copy of last month's invoice",
        "You billed me for a plan that I do not have", "There is a fee on the invoice that nobody told me about",
    ],
    "bug": [
        "The app crashes when I open the settings", "I get an error when I try to log in", "The page does not load any more",
        "The export button does nothing", "After the update the app freezes", "Search shows an error message",
        "The login page crashes every time", "Uploading a file ends with an error", "The screen stays blank after the update",
        "The app is broken since yesterday, it will not open",
    ],
    "cancellation": [
        "I want to cancel my subscription", "Please close my account", "How do I end my contract", "Cancel my plan at the end of the month",
        "I do not want to renew my subscription", "Terminate my contract please", "I would like to stop my subscription",
        "Please delete my account and end the contract", "I am leaving, cancel everything", "End my membership as of June",
    ],
}  # fmt: skip

FRESH: dict[str, list[str]] = {
    "billing": ["I was billed twice on my card", "The invoice amount is wrong", "What is this fee on my bill"],
    "bug": ["The app crashes after the update", "I get an error message on the login page", "The export page does not load"],
    "cancellation": ["Please cancel my contract", "I want to end my subscription", "Close my account at the end of the month"],
}  # fmt: skip

ELSEWHERE = ["What is the weather in Lisbon tomorrow", "How long do I boil an egg", "Who painted the night watch"]
