"""The check of the SES identities that the function may send as."""

from collections.abc import Iterator
from email.utils import parseaddr
from functools import partial

from closrads.cli.doctor.findings import Check, Clients, Finding, failed, ok, warning
from closrads.cli.doctor.parameters import ParameterState
from closrads.cli.doctor.ses import identities_of, identity_of
from closrads.cli.doctor.stack import StackState
from closrads.cli.environment import StageLocation, stack_name

ANY = "*"
"""Value of the template's parameter SenderIdentity that allows every identity."""
_RIGHTS = "cloudformation:DescribeStacks, ses:GetAccount and ses:GetEmailIdentity"


def checks_of_sender_right(
    place: StageLocation, parameters: ParameterState, stack: StackState, clients: Clients
) -> Iterator[Check]:
    """Yield the check if there is a stack and a sender; without either, other checks say so."""
    sender = parseaddr(parameters.values.get("email/sender", ""))[1]
    if stack.resources is not None and sender:
        yield Check("SES permission", partial(check_sender_right, place, sender, clients), _RIGHTS)


def check_sender_right(place: StageLocation, sender: str, clients: Clients) -> Iterator[Finding]:
    """Check that the function may send as the sender's identity and, outside the SES sandbox, as no other.

    In its sandbox, SES also checks the right to the recipients' identities, so all must be allowed (Amazon SES
    Developer Guide, "Request production access"). A stack of an older template, without the parameter, yields nothing.
    """
    name = "SES permission"
    found = clients["cloudformation"].describe_stacks(StackName=stack_name(place.stage))["Stacks"][0]
    given = {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", ())}
    allowed = given.get("SenderIdentity")
    if allowed is None:
        return
    deploy = f"sam deploy --config-env {place.stage} --parameter-overrides Stage={place.stage} SenderIdentity="
    if not clients["sesv2"].get_account().get("ProductionAccessEnabled"):
        if allowed == ANY:
            yield ok(name, "the function may send as any identity, as it must in the SES sandbox")
        else:
            said = f"the function may send as {allowed} only, and in the SES sandbox it needs the recipients' too"
            yield failed(name, f"{said}: no report is sent", f"allow any until the account is out of it: {deploy}'*'")
        return
    identities = identities_of(sender)
    own = next(filter(partial(_is_verified, clients=clients), identities), sender.rpartition("@")[2])
    if allowed == ANY:
        said = "the function may send as any identity of this account and Region"
        yield warning(name, said, f"allow only {own}: {deploy}{own}")
    elif allowed not in identities:
        said = f"the function may send as {allowed} only, which {sender} does not belong to: no report is sent"
        yield failed(name, said, f"allow {own}: {deploy}{own}")
    else:
        yield ok(name, f"the function may send as {allowed} only")


def _is_verified(identity: str, clients: Clients) -> bool:
    return bool((identity_of(identity, clients) or {}).get("VerifiedForSendingStatus"))
