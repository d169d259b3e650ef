"""What a mail is about: an AI step that learned it from the mails below, and says when it is not sure.

It works on words alone, so that it answers the same on every machine; `embeddings="local"` takes the weights of MiniLM in, if
there are any. What a clerk says of a mail that it was not sure of becomes an example of the next fit.
"""

from __future__ import annotations

from typing import Final

from backstay.ai.classifying import Classifier

ABOUT: Final = {
    "refund": "wants money back for something that was bought",
    "billing": "asks about an invoice, a charge or a payment",
    "bug": "something does not work or arrived broken",
    "feature request": "wishes for something that does not exist yet",
    "cancellation": "wants to end a subscription or an account",
}

EXAMPLES: Final = {
    "refund": [
        "I want a refund for order ORD-1001", "Please give me my money back", "The desk is not what I ordered, refund it please",
        "I returned the shelf and wait for my refund", "Money back, the colour is wrong", "Please refund the full price of the lamp",
        "I sent the chair back, when do I get my money", "I ask for a refund because it came too late",
        "Refund my order, I do not need it any more", "You promised me a refund of the second item",
        "I would like my money back for the table", "Please refund order ORD-1044, it was delivered twice",
    ],
    "billing": [
        "The invoice shows the wrong amount", "I was charged twice this month", "Please send me the invoice for March",
        "Why is there an extra fee on my bill", "Our accounts department needs a copy of the invoice",
        "The VAT number on the invoice is missing", "My card was charged although I paid by transfer",
        "I do not understand this charge on my bill", "Please change the billing address on our invoices",
        "The invoice was sent to the wrong company", "Which payment does this invoice belong to",
        "You billed us for five seats and we have three",
    ],
    "bug": [
        "The app crashes when I open the settings", "I get an error when I try to log in", "The page with my orders does not load",
        "The lamp is broken and does not turn on", "A wheel of the chair broke off", "The export button does nothing",
        "After the update the app freezes", "The desk does not move up any more", "The search shows an error message",
        "The screen stays blank after I log in", "The motor of the desk makes a noise and stops", "Uploading a picture ends with an error",
    ],
    "feature request": [
        "It would be great if the app had a dark mode", "Could you add an export to Excel", "I wish the lamp could be dimmed by phone",
        "Please add support for several languages", "A calendar view would help us a lot", "Can you make the desk remember three heights",
        "It would be nice to have the shelf in oak", "Please add single sign-on for companies", "I suggest a button that repeats an order",
        "Would you consider a smaller size of the desk", "An overview of all orders as a table would be useful",
        "We miss a way to share a basket with colleagues",
    ],
    "cancellation": [
        "I want to cancel my subscription", "Please close my account", "How do I end the contract", "Cancel our plan at the end of the month",
        "I do not want to renew my subscription", "Please terminate our contract", "We would like to stop the subscription",
        "Delete my account and all my data", "We are leaving, please cancel everything", "End my membership as of June",
        "Please confirm that our subscription is cancelled", "I no longer need the plan, cancel it",
    ],
    "other": [
        "Do you have a shop in Hamburg", "I would like to write an article about your company", "Are there any open positions",
        "Happy new year to the whole team", "When are you open on Saturday", "Please take us off your mailing list",
        "Can I visit your factory with my class", "Who is responsible for data protection",
    ],
}  # fmt: skip

intent = Classifier("intent", labels=ABOUT, examples=EXAMPLES, none="other", target=0.9, embeddings=None, review=0.05)
classify_intent, learn_intent = intent.classify, intent.learn
