"""Limits that requests does not offer: a deadline for the whole response, and a maximum body size.

The read timeout of requests applies to each read, so a server that sends a byte now and then, of its headers or of the
body, could block a run until the invocation is terminated.
"""

import time
from http.client import HTTPResponse
from io import BufferedReader, BytesIO, RawIOBase
from socket import socket
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError

CHUNK_BYTES = 65_536


class AnswerTooLargeError(requests.RequestException):
    """The response body exceeds the maximum size."""


class BoundedAdapter(HTTPAdapter):
    """Transport adapter that reads the whole response within the read timeout and `max_bytes`, and never retries.

    Raises
    ------
    requests.Timeout, AnswerTooLargeError, requests.ConnectionError
        Without the original exception, whose message and traceback contain the URL with its query.
    """

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self._max_bytes = max_bytes
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send one request; when this returns, the complete body is in memory."""
        response = super().send(request, *args, **{**kwargs, "stream": True})
        body = bytearray()
        try:
            while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
                body += chunk
                if len(body) > self._max_bytes:
                    raise AnswerTooLargeError
        except ReadTimeoutError:
            raise requests.ReadTimeout from None
        except HTTPError as error:
            raise requests.ConnectionError(type(error).__name__) from None
        finally:
            response.raw.release_conn() if response.raw.isclosed() else response.raw.close()
        response.raw = BytesIO(body)
        return response


class _UntilDeadline(RawIOBase):
    """The bytes that a socket receives within its timeout, which applies to all of them together."""

    def __init__(self, sock: socket) -> None:
        self._sock = sock
        self._bytes = sock.makefile("rb", buffering=0)
        timeout = sock.gettimeout()
        assert timeout is not None  # noqa: S101 - every call in this package has a timeout
        self._deadline = time.monotonic() + timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._sock.settimeout(remaining)
        return self._bytes.readinto(buffer)

    def close(self) -> None:
        self._bytes.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = BufferedReader(_UntilDeadline(sock))


class _Connection(HTTPConnection):
    response_class = _Response


class _SecureConnection(HTTPSConnection):
    response_class = _Response


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
