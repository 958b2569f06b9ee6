"""The Parameter Store in memory."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sandbox.memory_aws.errors import AwsError

LARGEST_PAGE = 10
"""Maximum page size of parameters by path (API reference, `MaxResults`)."""
LARGEST_DESCRIPTION_PAGE = 50
LARGEST_VALUE = 4096
"""Maximum length of a standard parameter."""


class Ssm:
    """The operations of SSM on parameters, with boto3's names, parameters and responses.

    `LastModifiedDate` is when a parameter was last put, even with the same value (API reference, "Parameter"); `now`
    returns the time in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._parameters: dict[str, dict[str, Any]] = {}

    def put_parameter(
        self,
        *,
        Name: str,  # noqa: N803 - boto3's names
        Value: str,  # noqa: N803
        Type: str | None = None,  # noqa: N803
        Overwrite: bool = False,  # noqa: N803
        KeyId: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        """Put a parameter; a key is for a secret only (API reference, `KeyId`)."""
        if KeyId and Type != "SecureString":
            raise AwsError("ValidationException", "KeyId is for parameters of type SecureString only.")
        there = self._parameters.get(Name)
        if there and not Overwrite:
            raise AwsError("ParameterAlreadyExists", "The parameter already exists.")
        if not Value or len(Value) > LARGEST_VALUE:
            raise AwsError("ValidationException", f"Standard tier parameters take 1 to {LARGEST_VALUE} characters")
        kind = Type or (there and there["Type"])
        if kind is None:
            raise AwsError("ValidationException", "A parameter type is required when you create a parameter.")
        version = there["Version"] + 1 if there else 1
        self._parameters[Name] = {
            "Name": Name, "Type": kind, "Value": Value, "Version": version, "DataType": "text",
            "LastModifiedDate": datetime.fromtimestamp(self._now(), UTC),
        }  # fmt: skip
        return {"Version": version, "Tier": "Standard"}

    def delete_parameter(self, *, Name: str) -> dict[str, Any]:  # noqa: N803
        """Delete an existing parameter."""
        if self._parameters.pop(Name, None) is None:
            raise AwsError("ParameterNotFound", f"Parameter {Name} not found.")
        return {}

    def delete_parameters(self, *, Names: Sequence[str]) -> dict[str, Any]:  # noqa: N803
        """Delete the parameters that exist."""
        known = [name for name in Names if self._parameters.pop(name, None)]
        return {"DeletedParameters": known, "InvalidParameters": [name for name in Names if name not in known]}

    def get_parameter(self, *, Name: str, WithDecryption: bool = False) -> dict[str, Any]:  # noqa: N803
        """Return one parameter."""
        if Name not in self._parameters:
            raise AwsError("ParameterNotFound", f"Parameter {Name} not found.")
        return {"Parameter": _shown(self._parameters[Name], decrypted=WithDecryption)}

    def get_parameters(self, *, Names: Sequence[str], WithDecryption: bool = False) -> dict[str, Any]:  # noqa: N803
        """Return the parameters that exist."""
        found = [self._parameters[name] for name in Names if name in self._parameters]
        return {
            "Parameters": [_shown(each, decrypted=WithDecryption) for each in found],
            "InvalidParameters": [name for name in Names if name not in self._parameters],
        }

    def get_parameters_by_path(
        self,
        *,
        Path: str,  # noqa: N803
        Recursive: bool = False,  # noqa: N803
        WithDecryption: bool = False,  # noqa: N803
        MaxResults: int = LARGEST_PAGE,  # noqa: N803
        NextToken: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        """Return a page of the parameters below a path."""
        prefix = Path.rstrip("/") + "/"
        below = [name for name in sorted(self._parameters) if name.startswith(prefix)]
        names = [name for name in below if Recursive or "/" not in name.removeprefix(prefix)]
        found = [_shown(self._parameters[name], decrypted=WithDecryption) for name in names]
        return _page(found, min(MaxResults, LARGEST_PAGE), NextToken)

    def describe_parameters(
        self,
        *,
        MaxResults: int = LARGEST_DESCRIPTION_PAGE,  # noqa: N803
        NextToken: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        """Return a page of all parameters without their values."""
        found = [
            {name: value for name, value in self._parameters[each].items() if name != "Value"}
            for each in sorted(self._parameters)
        ]
        return _page(found, min(MaxResults, LARGEST_DESCRIPTION_PAGE), NextToken)


def _shown(parameter: Mapping[str, Any], *, decrypted: bool) -> dict[str, Any]:
    if parameter["Type"] == "SecureString" and not decrypted:
        return {**parameter, "Value": f"kms:alias/aws/ssm:{len(parameter['Value'])} characters"}
    return dict(parameter)


def _page(found: Sequence[dict[str, Any]], size: int, token: str) -> dict[str, Any]:
    start = int(token or 0)
    more = {"NextToken": str(start + size)} if len(found) > start + size else {}
    return {"Parameters": list(found[start : start + size]), **more}
