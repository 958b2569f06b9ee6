"""Texts about a plan: that it is no longer the approved one, and how to approve one."""

from closrads.report.wording.kinds import OPERATOR, Kind, Who

PLAN_STALE = Kind(
    "orange",
    "No longer what was approved",
    Who.OPERATOR,
    (
        f"Forward this mail to {OPERATOR}: what differs is at its end.",
        "To have it done before the next daily run, make a new plan and approve that.",
    ),
    "This run has made none of these changes; an earlier one may have. The daily run needs no approval: the next one "
    "sets the states of its day.",
)
"""For an approved plan that no longer applies, so that none of it was started; nothing has failed."""
PLAN_PAUSED = "plan was not completed"
PLAN_STALE_TEXT = "was not updated, because today's changes are not the ones that were approved"
PLAN_STALE_SUBJECT = "plan not carried out: things have changed since it was shown"
PLAN_STALE_HEADLINE = (
    "No planned change was made, because things have changed since the plan was shown: make a new plan."
)


def plan_notice(plan_id: str, stage: str) -> str:
    """Return how to have the plan of a dry run carried out; empty if it cannot be approved.

    The command names its stage, because the shell of whoever copies it may be set up for another one.
    """
    if not plan_id:
        return ""
    event = f'{{"action": "sync", "dry_run": false, "plan_id": "{plan_id}"}}'
    of_stage = f" --stage {stage}" if stage else ""
    return (
        f"Plan {plan_id}: to carry out exactly these changes, run "
        f"`python -m closrads run live --plan {plan_id}{of_stage}`, or invoke the function with {event}. "
        "If the changes are different by then, nothing is changed."
    )
