"""SES in memory: mails, and the state of the account."""

import json
from collections.abc import Callable
from http import HTTPStatus
from itertools import count
from typing import Any

from sandbox.aws import Mail, mail_of
from sandbox.memory_aws.errors import AwsError
from sandbox.ses import SesAccount


class Ses:
    """The operations of SES (API v2), with boto3's names, parameters and responses."""

    def __init__(self, account: Callable[[], SesAccount], mails: list[Mail]) -> None:
        self._account = account
        self._mails = mails
        self._ids = count(1)

    def send_email(self, **call: Any) -> dict[str, Any]:
        """Accept a mail if its sender or the sender's domain is verified, and SES refuses no recipient."""
        mail = mail_of(call)
        address = mail.sender.rpartition("<")[2].rstrip(">")
        identities = self._account().identities
        if not (identities.get(address) or identities.get(address.rpartition("@")[2])):
            raise AwsError("MessageRejected", f"Email address is not verified: {address}")
        if refusal := self._account().refusal(mail.recipients):
            raise AwsError(*refusal)
        self._mails.append(mail)
        return {"MessageId": f"memory-{next(self._ids)}"}

    def get_account(self) -> dict[str, Any]:
        """Return the account's permissions."""
        return self._look("account")

    def get_email_identity(self, *, EmailIdentity: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        """Return the state of an address or a domain."""
        return self._look(f"identities/{EmailIdentity}")

    def get_configuration_set(self, *, ConfigurationSetName: str) -> dict[str, Any]:  # noqa: N803
        """Return a configuration set."""
        return self._look(f"configuration-sets/{ConfigurationSetName}")

    def _look(self, path: str) -> dict[str, Any]:
        status, body = self._account().answer("GET", f"/v2/email/{path}") or (HTTPStatus.NOT_FOUND, b"{}")
        content: dict[str, Any] = json.loads(body)
        if status is not HTTPStatus.OK:
            raise AwsError("NotFoundException", content["message"], status)
        return content
