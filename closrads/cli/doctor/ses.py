"""The checks of Amazon SES: the account, the sender and the recipients."""

from collections.abc import Iterator, Mapping, Sequence
from email.utils import parseaddr
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from closrads.cli.doctor.findings import (
    PUSH,
    Check,
    Clients,
    Finding,
    check_returning,
    failed,
    not_checked,
    ok,
    warning,
)
from closrads.cli.doctor.parameters import ParameterState
from closrads.cli.environment import StageLocation


def check_account_of_ses(recipients: Sequence[str], clients: Clients) -> Iterator[Finding]:
    """Check whether SES accepts mail to any recipient; if not, name the ones that it refuses."""
    name = "SES account"
    account = clients["sesv2"].get_account()
    region = clients["sesv2"].meta.region_name
    if not account.get("ProductionAccessEnabled"):
        said = f"is in the SES sandbox in {region}: mail goes to verified addresses only"
        remedy = "request production access in the SES console"
        refusals = list(_recipients(recipients, clients))
        if refusals:
            yield failed(name, said, remedy)
        elif recipients:
            yield warning(name, f"{said}, as all of email/recipients are", f"before there are others, {remedy}")
        else:
            yield warning(name, said, f"before you put email/recipients, {remedy}")
        yield from refusals
    elif not account.get("SendingEnabled"):
        yield failed(
            name,
            f"may not send in {region} ({account.get('EnforcementStatus')})",
            "look at the account's reputation in the SES console",
        )
    else:
        yield ok(name, f"out of the sandbox in {region}")


def check_sender(sender: str, clients: Clients) -> Iterator[Finding]:
    """Check whether the sender's address, or one of its domains, is a verified identity that can send."""
    name = "SES sender"
    address = parseaddr(sender)[1]
    domain = address.rpartition("@")[2]
    state = "is not an identity of SES here"
    for identity in identities_of(address):
        found = identity_of(identity, clients)
        if found and found.get("VerifiedForSendingStatus"):
            yield ok(name, f"{address} is verified" + ("" if identity == address else f", by {identity}"))
            if chosen := found.get("ConfigurationSetName"):
                yield from _configuration_set(chosen, identity, clients)
            return
        if found:
            state = "is not verified yet"
    yield failed(name, f"{address} {state}", f"verify it, or {domain}, in the SES console of this Region")


def _recipients(recipients: Sequence[str], clients: Clients) -> Iterator[Finding]:
    """Name the recipients that SES refuses in its sandbox: neither their address nor its domain is verified."""
    refused = [address for _, address in map(parseaddr, recipients) if not any(_verified(address, clients))]
    if refused:
        remedy = "verify each in the SES console, or take it out of email/recipients"
        yield failed("SES recipients", f"SES refuses {', '.join(refused)}: not verified", remedy)


def _verified(address: str, clients: Clients) -> Iterator[bool]:
    """Yield, for each identity that an address may have, whether it is verified."""
    for identity in identities_of(address):
        yield bool((identity_of(identity, clients) or {}).get("VerifiedForSendingStatus"))


def identities_of(address: str) -> Sequence[str]:
    """Return the identities that an address may have: itself, its domain, and the domains above that."""
    labels = address.rpartition("@")[2].split(".")
    return [address, *(".".join(labels[index:]) for index in range(len(labels) - 1))]


def identity_of(identity: str, clients: Clients) -> Mapping[str, Any] | None:
    """Return an identity of SES; None if it does not exist in this account and Region."""
    try:
        found: Mapping[str, Any] = clients["sesv2"].get_email_identity(EmailIdentity=identity)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotFoundException":
            raise
        return None
    return found


def _configuration_set(chosen: str, identity: str, clients: Clients) -> Iterator[Finding]:
    name = f"configuration set {chosen}"
    remedy = f"create it, or take it off the identity {identity}, in the SES console"
    try:
        found = clients["sesv2"].get_configuration_set(ConfigurationSetName=chosen)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NotFoundException":
            raise
        yield failed(name, f"is the default of {identity} and does not exist: SES refuses every mail", remedy)
        return
    if found.get("SendingOptions", {}).get("SendingEnabled", True):
        yield ok(name, f"exists (the default of {identity})")
    else:
        yield failed(name, f"is the default of {identity} and may not send", "enable its sending in the SES console")


def checks_of_ses(place: StageLocation, state: ParameterState, clients: Clients) -> Iterator[Check]:
    """Yield the checks of the account and of the sender."""
    settings = state.settings
    recipients = settings.email.recipients if settings and settings.email else ()
    rights = "ses:GetAccount and ses:GetEmailIdentity"
    yield Check("SES account", partial(check_account_of_ses, recipients, clients), rights)
    sender = settings.email.sender if settings and settings.email else state.values.get("email/sender", "")
    if not state.values:
        yield not_checked("SES sender", f"parameters below {place.path}")
    elif sender:
        rights = "ses:GetEmailIdentity and ses:GetConfigurationSet"
        yield Check("SES sender", partial(check_sender, sender, clients), rights)
    else:
        said = "no email/sender: the report goes to the log, and nobody gets it by mail"
        yield check_returning(warning("SES sender", said, PUSH))
