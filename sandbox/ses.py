"""The state of an SES account: its identities and configuration sets.

The shapes are those of the Amazon SES API v2 reference: `GetAccount`, which moto does not support, and
`GetEmailIdentity` and `GetConfigurationSet`, whose responses differ in moto.
"""

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import unquote

_PREFIX = "/v2/email/"


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
