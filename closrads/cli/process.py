"""Prepares the process of a command: the Region, and output that any terminal can show."""

import codecs
from collections.abc import MutableMapping
from io import TextIOWrapper

SUBSTITUTES = {
    "−": "-", "…": "...", "“": '"', "”": '"', "→": "->", "✗": "x", "✓": "ok", "⚠": "!", "·": "-"
}  # fmt: skip
"""Replacements for characters that the terminal's encoding lacks; any other becomes a question mark."""
_HANDLER = "closrads.substitute"


def adopt_region(environment: MutableMapping[str, str]) -> None:
    """Let `AWS_REGION` take precedence, as it does for the AWS CLI, SAM and Lambda.

    boto3 reads only `AWS_DEFAULT_REGION` (AWS SDKs and Tools Reference Guide, "AWS Region").
    """
    if region := environment.get("AWS_REGION"):
        environment["AWS_DEFAULT_REGION"] = region


def show_in_any_encoding(*streams: object) -> None:
    """Make each stream replace the characters that it cannot encode, instead of raising an error."""
    codecs.register_error(_HANDLER, _substitute)
    for stream in streams:
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _substitute(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(SUBSTITUTES.get(char, "?") for char in error.object[error.start : error.end]), error.end
