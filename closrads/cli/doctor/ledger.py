"""The checks of the ledger: its table, its backup, and its open changes."""

from collections.abc import Iterator, Sequence
from functools import partial

from botocore.exceptions import ClientError

from closrads.cli.doctor.findings import Check, Clients, Finding, failed, ok, summarize_names, warning
from closrads.cli.environment import StageLocation
from closrads.clock import Clock
from closrads.concurrency import map_concurrently
from closrads.domain.changes import Change, ChangeState
from closrads.domain.settings import Settings
from closrads.ledger.changes import Ledger
from closrads.ledger.dynamodb import Table
from closrads.redaction import one_line

MAX_CONCURRENT_QUERIES = 10


def check_ledger(place: StageLocation, clients: Clients) -> Iterator[Finding]:
    """Check whether the ledger's table and index exist and can be read."""
    name = f"ledger {place.table}".strip()
    if not place.table:
        how = warning if place.forbidden else failed
        yield how(name, one_line(place.why_no_table), "deploy the stack: README, “Go live”")
        return
    try:
        table = clients["dynamodb"].describe_table(TableName=place.table)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        yield failed(name, "does not exist", "check the Region; deploy the stack: README, “Go live”")
        return
    indexes = {index["IndexName"] for index in table.get("LocalSecondaryIndexes", ())}
    if table["TableStatus"] not in {"ACTIVE", "UPDATING"} or "open" not in indexes:
        said = f"is {table['TableStatus'].lower()}" + ("" if "open" in indexes else ", without the index `open`")
        yield failed(name, said, "deploy the stack again: README, “Go live”")
        return
    clients["dynamodb"].query(
        TableName=place.table,
        IndexName="open",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "CAMPAIGN#"}},
        ConsistentRead=True,
        Limit=1,
    )
    yield ok(name, f"can be read; about {table.get('ItemCount', 0)} items")


def check_open_changes(slugs: Sequence[str], table: Table) -> Iterator[Finding]:
    """Look for open changes of earlier runs, also in campaigns that are switched off."""
    name = "open changes"
    found = map_concurrently(Ledger(table).open_changes, slugs, MAX_CONCURRENT_QUERIES)
    changes = sorted((change for of_campaign in found for change in of_campaign), key=lambda each: each.prepared_at)
    failed_ones = [change for change in changes if change.state is ChangeState.ROLLBACK_FAILED]
    others = [change for change in changes if change.state is not ChangeState.ROLLBACK_FAILED]
    if failed_ones:
        said = f"{len(failed_ones)} not proven to be as before: {_adsets(failed_ones)}"
        yield failed(name, said, "look at Ads Manager now: docs/runbook.md, “rollback_failed”")
    if others:
        said = f"{len(others)} neither finished nor undone: {_adsets(others)}"
        yield warning(name, said, "the next live run does that, unless one is at it just now; its report says more")
    if not changes:
        yield ok(name, "none")


def _adsets(changes: Sequence[Change]) -> str:
    return summarize_names(
        [one_line(f"“{each.before.name}” ({each.before.id}) of {each.campaign}, {each.run_id}") for each in changes]
    )


def check_backup(place: StageLocation, clients: Clients) -> Iterator[Finding]:
    """Check whether the ledger has point-in-time recovery."""
    name = "ledger backup"
    try:
        answer = clients["dynamodb"].describe_continuous_backups(TableName=place.table)
    except ClientError as error:
        if error.response["Error"]["Code"] != "TableNotFoundException":
            raise
        yield warning(name, "not checked: no table", "fix the ledger first")
        return
    recovery = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") == "ENABLED":
        yield ok(name, "point-in-time recovery is on")
    else:
        yield failed(
            name, "point-in-time recovery is off", "deploy the stack again, or switch it on in the DynamoDB console"
        )


def checks_of_ledger(
    place: StageLocation, settings: Settings | None, clients: Clients, clock: Clock
) -> Iterator[Check]:
    """Yield the checks of the table and of the open changes; without a table, only that it is missing."""
    yield Check("ledger", partial(check_ledger, place, clients), "dynamodb:DescribeTable and dynamodb:Query")
    if place.table and settings is not None:
        slugs = [campaign.slug for campaign in settings.campaigns]
        run = partial(check_open_changes, slugs, Table(place.table, clock))
        yield Check("open changes", run, "dynamodb:Query and dynamodb:GetItem")
    if place.table:
        yield Check("ledger backup", partial(check_backup, place, clients), "dynamodb:DescribeContinuousBackups")
