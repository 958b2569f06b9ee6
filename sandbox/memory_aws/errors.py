"""AWS errors, as boto3 raises them."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

MODELED: Mapping[str, frozenset[str]] = {
    "dynamodb": frozenset(
        {
            "ConditionalCheckFailedException",
            "InternalServerError",
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "ResourceInUseException",
            "ResourceNotFoundException",
            "TableNotFoundException",
            "ThrottlingException",
            "TransactionCanceledException",
            "TransactionConflictException",
            "TransactionInProgressException",
        }
    ),
    "ssm": frozenset({"InternalServerError", "ParameterAlreadyExists", "ParameterNotFound"}),
    "sesv2": frozenset(
        {
            "AccountSuspendedException",
            "BadRequestException",
            "InternalServiceErrorException",
            "LimitExceededException",
            "MailFromDomainNotVerifiedException",
            "MessageRejected",
            "NotFoundException",
            "SendingPausedException",
            "TooManyRequestsException",
        }
    ),
}
"""Error codes with an exception class of their own, by service; any other code is a plain `ClientError`."""


class AwsError(Exception):
    """A service refuses a call.

    Parameters
    ----------
    code, message, status
        Of the error response.
    members
        Further fields of the error response.
    """

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members = members


class ClientExceptions:
    """The exceptions of one service, as in `client.exceptions` of boto3."""

    def __init__(self, service: str) -> None:
        self._by_code: dict[str, type[ClientError]] = {
            code: type(code, (ClientError,), {}) for code in MODELED.get(service, ())
        }

    def __getattr__(self, name: str) -> type[ClientError]:
        try:
            return self._by_code[name]
        except KeyError:
            raise AttributeError(name) from None

    def from_code(self, code: str) -> type[ClientError]:
        """Return the exception class for an error code."""
        return self._by_code.get(code, ClientError)
