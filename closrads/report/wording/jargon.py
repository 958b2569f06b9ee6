"""Decides which raw texts a client understands as they are."""

import re

JARGON = re.compile(
    r"\w_\w|/|\\|\bHTTP|https?:|\bact_?\d|\d{6}|\[Meta|\(#?\d+\)|#\d|[{}\[\]\"`=]|\b(?:API|AWS|SSM|SES|JSON|DynamoDB|"
    r"held|deferred|ledger|quotas?|roll(?:ed )?backs?|rechecks?|tokens?|parameters?|access tier|re-?publish(?:ed)?|"
    r"pre-?flight|invocation|lease|webhook|max_\w+|force|Unexpected \w+)\b|America/",
    re.IGNORECASE,
)
"""What a client does not understand; nothing that `without_jargon` returns matches it."""


def without_jargon(text: str) -> str:
    """Return a raw text unchanged if the reader can understand it; empty if it contains jargon."""
    return "" if JARGON.search(text) else text
