"""PURE: which changes an undo may restore, and why an undo without a `run_id` is refused."""

from closrads.domain.changes import Change, ChangeState


def may_be_undone(change: Change) -> bool:
    """Return whether a change is in effect, or may be once a later run has finished it."""
    return change.state is ChangeState.VERIFIED or change.state.is_open


def why_not_undone(last: str, changed: Change | None, slug: str, stage: str) -> str:
    """Return why an undo without a `run_id` is refused, and what to do instead.

    Who asks to undo the last run does not expect an earlier one to be undone, so an earlier run has to be named.

    Parameters
    ----------
    last
        The id of the campaign's last live sync; empty if there was none.
    changed
        The newest change of an earlier sync that may be undone; None if there is none.
    """
    if changed is None:
        return (
            "There is nothing to undo: no live sync has changed this campaign, or what it changed was put back. If its "
            "states are wrong, pause the campaign and set them in Ads Manager, whose history says who has set these"
        )
    of_stage = f" --stage {stage}" if stage else ""
    return (
        f"There is nothing to undo in the last live sync, {last}: it left this campaign as it was. The last one that "
        f"changed it is {changed.run_id}, of {changed.prepared_at:%Y-%m-%d %H:%M} UTC. To undo that one, run "
        f'`python -m closrads undo {changed.run_id} --campaign {slug}{of_stage}`, or give "run_id": "{changed.run_id}"'
    )
