"""`webhook`: what is subscribed at Meta, and how it comes to be."""

import json
from typing import Any

import pytest

from sandbox import Sandbox
from sandbox.function_url import FunctionUrl
from sandbox.meta import faults, webhooks
from sandbox.meta.subscriptions import APP_ID
from sandbox.meta.webhooks import Webhooks
from tests.cli.conftest import Call
from tests.webhook_world import SECRET, VERIFY_TOKEN, Receiver
from tests.world import FakeTime, World

URL = "https://abc123.lambda-url.us-east-1.example.test/"
APP_TOKEN = f"{APP_ID}|{SECRET}"


@pytest.fixture
def deployed(business: Sandbox, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Return the sandbox with a receiver that Meta can reach, and the app token in this shell."""
    receiver = Receiver(World(business, fake_time))
    reach = FunctionUrl(receiver.handle)

    def call_back(url: str, token: str, challenge: str) -> str:
        assert url == URL
        return (reach(webhooks.verification(token, challenge)).body or b"").decode()

    business.meta.subscriptions.app_token = APP_TOKEN
    business.meta.subscriptions.call_back = call_back
    deploy(business, {"WebhookUrl": {"Value": URL}})
    monkeypatch.setenv("CLOSRADS_APP_TOKEN", APP_TOKEN)
    return business


def deploy(sandbox: Sandbox, outputs: dict[str, Any]) -> None:
    """Deploy a stack with these outputs."""
    template = json.dumps({"Parameters": {}, "Resources": {}, "Outputs": outputs})
    sandbox.aws.client("cloudformation").create_stack(StackName="closrads-sandbox", TemplateBody=template)


def on(call: Call, action: str, *more: str, typed: str | None = None) -> Any:
    """Call the command for the sandbox's stage, and check that it shows no secret."""
    result = call("webhook", action, "--stage", "sandbox", *more, typed=typed)
    for secret in (SECRET, VERIFY_TOKEN):
        assert secret not in result.output + result.stderr
    return result


def test_subscribing_makes_meta_push(deployed: Sandbox, call: Call) -> None:
    """The app with its fields, then each ad account once; Meta verifies the URL meanwhile."""
    result = on(call, "subscribe", "--yes")

    assert result.exit_code == 0, result.output
    subscriptions = deployed.meta.subscriptions
    assert subscriptions.accounts == {"act_111", "act_222"}
    (subscription,) = subscriptions.of_app.values()
    assert subscription["callback_url"] == URL
    assert subscription["include_values"] is True
    assert {field["name"] for field in subscription["fields"]} == {
        "effective_status", "with_issues_ad_objects", "in_process_ad_objects",
    }  # fmt: skip
    assert f"Meta pushes to {URL}" in result.output
    assert result.output.count("is subscribed") == 3
    assert on(call, "status").exit_code == 0


def test_it_asks_first(deployed: Sandbox, call: Call, somebody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the app token, which it does not show, and whether to go on."""
    assert somebody is None
    monkeypatch.delenv("CLOSRADS_APP_TOKEN")
    monkeypatch.setattr("closrads.cli.webhook.is_interactive", lambda: True)

    result = on(call, "subscribe", typed=f"{APP_TOKEN}\nn\n")

    assert result.exit_code == 1
    assert f"push the changes of 2 ad accounts to {URL}?" in result.stderr
    assert deployed.meta.subscriptions.of_app == {}
    assert on(call, "subscribe", typed=f" {APP_TOKEN}\ny\n").exit_code == 0


def test_status_only_reads(deployed: Sandbox, call: Call) -> None:
    """What is missing is named, and how to mend it."""
    result = on(call, "status")

    assert result.exit_code == 1
    assert result.output.count("is not subscribed") == 3  # the app and two accounts
    assert deployed.meta.writes == []


def test_json_is_for_machines(deployed: Sandbox, call: Call) -> None:
    """An alarm of one's own can look at it."""
    on(call, "subscribe", "--yes")
    deployed.meta.subscriptions.accounts.remove("act_222")

    result = on(call, "status", "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "url": URL,
        "app_id": APP_ID,
        "ok": False,
        "problems": {"app": "", "act_111": "", "act_222": "is not subscribed"},
    }


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"callback_url": "https://elsewhere.example.test/"}, "pushes to another URL: https://elsewhere.example.test/"),
        ({"active": False}, "is not active"),
        ({"object": "page"}, "is not subscribed"),
        ({"fields": ["effective_status"]}, "lacks the fields with_issues_ad_objects, in_process_ad_objects"),
    ],
)
def test_a_subscription_that_is_another_is_none(
    deployed: Sandbox, call: Call, changed: dict[str, Any], said: str
) -> None:
    """Of an earlier stack, or made by hand."""
    on(call, "subscribe", "--yes")
    deployed.meta.subscriptions.of_app["ad_account"] |= changed

    result = on(call, "status")

    assert result.exit_code == 1
    assert said in result.output


def test_a_url_that_cannot_be_verified_is_not_subscribed(deployed: Sandbox, call: Call) -> None:
    """No ad account is subscribed to what does not work."""
    deployed.meta.subscriptions.call_back = None

    result = on(call, "subscribe", "--yes")

    assert result.exit_code == 1
    assert "Callback verification failed" in " ".join(result.output.split())
    assert deployed.meta.subscriptions.accounts == set()


def test_one_account_does_not_stop_the_others(deployed: Sandbox, call: Call) -> None:
    """Its error is shown; once more subscribes the rest."""
    refused = faults.error(200, None, "(#200) Ad account owner has NOT granted ads_management", status=403)
    deployed.meta.fail(refused, on="POST subscribed_apps")

    result = on(call, "subscribe", "--yes")

    assert result.exit_code == 1
    assert "act_111" in result.output
    assert deployed.meta.subscriptions.accounts == {"act_222"}
    assert on(call, "subscribe", "--yes").exit_code == 0


def test_errors_of_reading_are_shown(deployed: Sandbox, call: Call) -> None:
    """Of the app, and of an account."""
    deployed.meta.fail(faults.error(190, None, "Error validating application"), on="GET subscriptions")
    deployed.meta.fail(faults.error(200, None, "Permission denied"), on="GET subscribed_apps", times=None)

    result = on(call, "status")

    assert result.exit_code == 1
    assert "Error validating application" in " ".join(result.output.split())
    assert "Permission denied" in " ".join(result.output.split())


@pytest.mark.parametrize("token", ["", "nonsense", SECRET, f"{APP_ID}|", f"app|{SECRET}"])
def test_without_the_app_token_nothing_happens(
    deployed: Sandbox, call: Call, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    """It says where to find it."""
    monkeypatch.setenv("CLOSRADS_APP_TOKEN", token)

    result = on(call, "subscribe", "--yes")

    assert result.exit_code == 1
    assert "app token" in result.stderr
    assert deployed.meta.requests == []


def test_the_secret_must_be_the_receivers(deployed: Sandbox, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else Meta would sign with another one, and each push be refused."""
    monkeypatch.setenv("CLOSRADS_APP_TOKEN", f"{APP_ID}|another-fake-app-secret")

    result = on(call, "subscribe", "--yes")

    assert result.exit_code == 1
    assert "each push would be refused" in " ".join(result.stderr.split())
    assert "another-fake-app-secret" not in result.output + result.stderr
    assert deployed.meta.requests == []


@pytest.mark.parametrize("name", ["meta/app_secret", "meta/webhook_verify_token"])
def test_the_parameters_come_first(deployed: Sandbox, call: Call, name: str) -> None:
    """The receiver needs both."""
    deployed.aws.delete_parameters(name)

    result = on(call, "subscribe", "--yes")

    assert result.exit_code == 1
    assert f"/closrads/sandbox/{name} is missing" in " ".join(result.stderr.split())


def test_a_stack_without_a_receiver_is_named(deployed: Sandbox, call: Call) -> None:
    """And how to get one."""
    deploy(deployed, {})
    assert "deploy it with Webhook=true" in " ".join(on(call, "status").stderr.split())


def test_a_stack_that_is_not_there_is_named(business: Sandbox, call: Call) -> None:
    """As everywhere else."""
    assert business.meta.requests == []
    said = " ".join(on(call, "status").stderr.split())
    assert "closrads-sandbox does not exist" in said
    assert "Check --stage and the Region, or deploy the stack" in said


def test_what_is_subscribed_is_pushed(deployed: Sandbox, call: Call, fake_time: FakeTime) -> None:
    """Only accounts that are subscribed to the app."""
    on(call, "subscribe", "--yes")
    receiver = Receiver(World(deployed, fake_time))
    pushes = Webhooks(deployed.meta, lambda request: receiver.url(request).status, SECRET)
    for account in deployed.meta.subscriptions.accounts:
        pushes.subscribe(account)
    deployed.meta.person_pauses(next(iter(deployed.meta.campaigns)))

    assert pushes.run() == 1
    assert len(receiver.queue.messages) == 1
