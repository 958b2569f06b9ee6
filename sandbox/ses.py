"""The state of an SES account: its identities and configuration sets.

The shapes are those of the Amazon SES API v2 reference: `GetAccount`, which moto does not support, and
`GetEmailIdentity` and `GetConfigurationSet`, whose responses differ in moto.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.utils import parseaddr
from http import HTTPStatus
from urllib.parse import unquote

_PREFIX = "/v2/email/"
_ADDRESS = re.compile(r"[!-~]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


@dataclass
class SesAccount:
    """The SES account; by default, everything is in order."""

    production_access: bool = True
    """Whether the account is out of the SES sandbox."""
    sending_enabled: bool = True
    identities: dict[str, bool] = field(default_factory=dict)
    """Addresses and domains, and whether each is verified."""
    default_configuration_sets: dict[str, str] = field(default_factory=dict)
    """Names of configuration sets by identity."""
    configuration_sets: dict[str, bool] = field(default_factory=dict)
    """Existing configuration sets, and whether each may send."""

    def refusal(self, recipients: Iterable[str]) -> tuple[str, str] | None:
        """Return the error code and message with which SES refuses a whole mail because of some recipients, or None.

        An address that cannot be one is a bad request. In the sandbox, a recipient must be verified by its address or
        its domain (SES Developer Guide, "Request production access"); the message names those that are not, as in
        hashicorp/consul-alerts #18 and tendenci #1198.
        """
        addresses = [parseaddr(recipient)[1] for recipient in recipients]
        if bad := [address for address in addresses if not _ADDRESS.fullmatch(address)]:
            return "BadRequestException", f"Illegal address: {bad[0]}"
        unverified = [
            address
            for address in addresses
            if not (self.identities.get(address) or self.identities.get(address.rpartition("@")[2]))
        ]
        if self.production_access or not unverified:
            return None
        return (
            "MessageRejected",
            "Email address is not verified. The following identities failed the check in region US-EAST-1: "
            + ", ".join(unverified),
        )

    def answer(self, method: str, path: str) -> tuple[HTTPStatus, bytes] | None:
        """Answer a read call; return None for any other call."""
        kind, _, name = unquote(path).removeprefix(_PREFIX).partition("/")
        if method != "GET" or not path.startswith(_PREFIX):
            return None
        match kind:
            case "account":
                return _found(self._account())
            case "identities" if name in self.identities:
                return _found(self._identity(name))
            case "configuration-sets" if name in self.configuration_sets:
                sending = {"SendingEnabled": self.configuration_sets[name]}
                return _found({"ConfigurationSetName": name, "SendingOptions": sending})
            case "identities" | "configuration-sets":
                body = {"message": f"{name} does not exist."}
                return HTTPStatus.NOT_FOUND, json.dumps(body).encode()
        return None

    def _account(self) -> dict[str, object]:
        return {
            "DedicatedIpAutoWarmupEnabled": False,
            "EnforcementStatus": "HEALTHY",
            "ProductionAccessEnabled": self.production_access,
            "SendQuota": {
                "Max24HourSend": 50_000.0 if self.production_access else 200.0,
                "MaxSendRate": 14.0 if self.production_access else 1.0,
                "SentLast24Hours": 2.0,
            },
            "SendingEnabled": self.sending_enabled,
        }

    def _identity(self, name: str) -> dict[str, object]:
        verified = self.identities[name]
        identity: dict[str, object] = {
            "IdentityType": "EMAIL_ADDRESS" if "@" in name else "DOMAIN",
            "FeedbackForwardingStatus": True,
            "VerifiedForSendingStatus": verified,
            "VerificationStatus": "SUCCESS" if verified else "PENDING",
            "DkimAttributes": {"SigningEnabled": False, "Status": "NOT_STARTED"},
            "MailFromAttributes": {"BehaviorOnMxFailure": "USE_DEFAULT_VALUE"},
            "Policies": {},
            "Tags": [],
        }
        if name in self.default_configuration_sets:
            identity["ConfigurationSetName"] = self.default_configuration_sets[name]
        return identity


def _found(content: dict[str, object]) -> tuple[HTTPStatus, bytes]:
    return HTTPStatus.OK, json.dumps(content).encode()
