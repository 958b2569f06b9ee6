"""CloudWatch Logs in memory: log groups, and what `FilterLogEvents` finds in them."""

import json
import re
from collections.abc import Mapping
from typing import Any

from sandbox.memory_aws.errors import AwsError

PAGE = 3
"""Events of a group that one call looks at; AWS looks at as much as it can within its time."""
_EQUALS = re.compile(r'\{ \$\.(\w+) = "([^"]*)" \}')

# ruff: noqa: N803 - the parameters are named as boto3 names them


class Logs:
    """CloudWatch Logs, with boto3's names, parameters and responses."""

    def __init__(self) -> None:
        self._groups: dict[str, list[dict[str, Any]]] = {}

    def make(self, name: str, _: Mapping[str, Any]) -> str:
        """Create an `AWS::Logs::LogGroup`."""
        self._groups[name] = []
        return name

    def put_log_events(self, *, logGroupName: str, logStreamName: str, logEvents: list[Any]) -> dict[str, Any]:
        """Add events to a group; the order in which they arrive is not that of their times."""
        group = self._groups[logGroupName]
        for event in logEvents:
            more = {"logStreamName": logStreamName, "eventId": str(len(group)), "ingestionTime": event["timestamp"]}
            group.append(event | more)
        return {"nextSequenceToken": "none"}

    def filter_log_events(
        self,
        *,
        logGroupName: str,
        filterPattern: str,
        startTime: int,
        endTime: int | None = None,
        nextToken: str = "0",
    ) -> dict[str, Any]:
        """Return the events of some of a group that match a JSON pattern with one equation.

        A page may be empty although a later one is not: only a missing token ends the search (API reference,
        "FilterLogEvents").
        """
        if logGroupName not in self._groups:
            raise AwsError("ResourceNotFoundException", "The specified log group does not exist.", 400)
        wanted = _EQUALS.fullmatch(filterPattern)
        if wanted is None:
            raise AwsError("InvalidParameterException", "the sandbox knows one equation only", 400)
        end = float("inf") if endTime is None else endTime
        looked_at = self._groups[logGroupName][int(nextToken) : int(nextToken) + PAGE]
        found = [
            event
            for event in looked_at
            if startTime <= event["timestamp"] <= end and _value(event["message"], wanted[1]) == wanted[2]
        ]
        more = int(nextToken) + PAGE < len(self._groups[logGroupName])
        return {"events": found, "searchedLogStreams": []} | ({"nextToken": str(int(nextToken) + PAGE)} if more else {})


def _value(message: str, field: str) -> Any:
    """Return a field of an event that is JSON, as each line of the function is; others do not match."""
    return json.loads(message).get(field) if message.startswith("{") else None
