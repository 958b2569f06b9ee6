"""Limits that requests does not offer: a deadline for the whole response, and a maximum body size.

The timeout of requests applies to each read, so a server that sends a byte now and then could block a run until the
invocation is terminated.
"""

import time
from io import BytesIO
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

CHUNK_BYTES = 65_536


class AnswerTooLargeError(requests.RequestException):
    """The response body exceeds the maximum size."""


class BoundedAdapter(HTTPAdapter):
    """Transport adapter that reads every body completely, within `seconds` and `max_bytes`, and never retries.

    Raises
    ------
    requests.Timeout, AnswerTooLargeError, requests.ConnectionError
        Without the original exception, whose message and traceback contain the URL with its query.
    """

    def __init__(self, seconds: float, max_bytes: int) -> None:
        super().__init__()
        self.seconds = seconds
        self._max_bytes = max_bytes

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send one request; when this returns, the complete body is in memory."""
        started = time.monotonic()
        response = super().send(request, *args, **{**kwargs, "stream": True})
        body = bytearray()
        try:
            # read1 returns whatever has arrived, so that the deadline is also checked while bytes trickle in.
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
