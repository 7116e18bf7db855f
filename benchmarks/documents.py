"""The documents of a run: short support tickets, the same for every system."""

import json

LABELS = [
    {"name": "billing", "description": "invoices, charges, refunds of money"},
    {"name": "shipping", "description": "parcels, delivery dates, addresses"},
    {"name": "returns", "description": "sending goods back, exchanges"},
    {"name": "account", "description": "login, password, personal data"},
    {"name": "other", "description": "anything else"},
]

_SENTENCES = [
    "I was charged twice for my last order and the second charge is still on my statement.",
    "The parcel was due on Tuesday, but the tracking page has not moved for four days.",
    "I would like to send one of the two lamps back because the shade is cracked.",
    "Since the update I can no longer log in with the address that I registered.",
    "Your colleague on the phone told me that somebody would call back within a day.",
    "Please tell me what I have to do next and how long it is going to take.",
    "I have attached the photographs that you asked for in your message of last week.",
    "This is the third time that I write, and I am beginning to lose my patience.",
]
SENTENCES_EACH = 8
"""About 650 characters: a short message, so that what is measured is the machinery and not the text."""


def document(number: int) -> str:
    """The text of one ticket; each is different."""
    count = len(_SENTENCES)
    chosen = [_SENTENCES[(number * 3 + step * (1 + number % 3)) % count] for step in range(SENTENCES_EACH)]
    return f"Ticket {number}: {' '.join(chosen)}"


def lines(count: int) -> list[bytes]:
    """The tickets as JSONL."""
    return [json.dumps({"text": document(number)}).encode() for number in range(count)]
