"""Limits that requests does not have: on the time that a whole body takes to arrive, and on its size.

Its own time-out only counts the silence between two bytes, so a server that sends one byte now and then holds up a run
until the invocation is cut off.
"""

import time
from io import BytesIO
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

CHUNK_BYTES = 65_536


class AnswerTooLargeError(requests.RequestException):
    """The answer was larger than anything that can be meant."""


class BoundedAdapter(HTTPAdapter):
    """Reads every body to its end, within `seconds` and `most_bytes`, and never retries.

    Raises
    ------
    requests.Timeout, AnswerTooLargeError, requests.ConnectionError
        Without the original, whose text and traceback show the URL with everything in it.
    """

    def __init__(self, seconds: float, max_bytes: int) -> None:
        super().__init__()
        self.seconds = seconds
        self._max_bytes = max_bytes

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send one request; the answer's body is in memory when this returns."""
        started = time.monotonic()
        response = super().send(request, *args, **{**kwargs, "stream": True})
        body = bytearray()
        try:
            # What has arrived, not what fills a buffer: an endless trickle must come back here now and then.
            while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
                body += chunk
                if time.monotonic() - started > self.seconds:
                    raise requests.Timeout
                if len(body) > self._max_bytes:
                    raise AnswerTooLargeError
        except HTTPError as error:
            raise requests.ConnectionError(type(error).__name__) from None
        finally:
            response.raw.release_conn() if response.raw.isclosed() else response.raw.close()
        response.raw = BytesIO(body)
        return response
