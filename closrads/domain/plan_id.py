"""PURE: everything that a run would write as one plan, the id for its approval, and how two plans differ."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from closrads.domain.plan import Decision
from closrads.domain.targeting import region_keys, signed, states

ID_CHARS = 16
"""Length of a plan's id, in hexadecimal digits."""
MAX_LINES = 10
"""Maximum number of differences of a campaign that are named."""


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """A change of one ad set that a run would make; regions are Meta's keys."""

    campaign: str
    """The campaign's slug."""
    id: str
    """The ad set's."""
    name: str
    before: frozenset[str]
    """The regions that it targets when the plan is made."""
    after: frozenset[str]
    """The regions that it is to target."""

    @property
    def signs(self) -> str:
        """The states that are added and removed, such as `+FL −TX`."""
        return signed(states(self.after - self.before), states(self.before - self.after))


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes that a sync would make, and the options of its event that they depend on."""

    changes: tuple[PlannedChange, ...]
    campaigns: tuple[str, ...] | None = None
    """The slugs in the event; None for every enabled campaign."""
    force: frozenset[str] = frozenset()
    """Names of the limits that are lifted."""

    @property
    def id(self) -> str:
        """A hash, equal for equal plans; the order of the ad sets and their names do not matter."""
        canonical = {
            "campaigns": self.campaigns if self.campaigns is None else sorted(self.campaigns),
            "force": sorted(self.force),
            "changes": sorted(
                [change.campaign, change.id, sorted(change.before), sorted(change.after)] for change in self.changes
            ),
        }
        return sha256(json.dumps(canonical, separators=(",", ":")).encode()).hexdigest()[:ID_CHARS]


def planned_changes(slug: str, decisions: Sequence[Decision]) -> tuple[PlannedChange, ...]:
    """Return the changes among the decisions of a campaign."""
    return tuple(
        PlannedChange(slug, each.adset.id, each.adset.name, region_keys(each.adset.targeting), each.wanted)
        for each in decisions
        if each.is_change
    )


def refusals(plan_id: str, approved: Plan, now: Plan, slugs: Collection[str]) -> dict[str, str]:
    """Return why no campaign of a run may be changed whose plan is not the approved one, by slug.

    A plan is carried out as a whole or not at all, so a campaign whose own changes are as approved is refused as well,
    unless it has none.

    Parameters
    ----------
    plan_id
        The id of the approved plan.
    slugs
        The campaigns of the run.
    """
    differing = {slug: lines for slug in _slugs(approved, now) if (lines := tuple(_differences(slug, approved, now)))}
    if (approved.force, _sorted(approved.campaigns)) != (now.force, _sorted(now.campaigns)):
        asked = "it was made with other `campaigns` or `force`: leave them out, and they are as in the dry run"
        differing |= {slug: (*differing.get(slug, ()), asked) for slug in slugs}
    said = f"Refused: the plan is no longer the approved {plan_id}"
    end = "None of its changes was begun. Make a new dry run, and approve its plan"
    changing = {change.campaign for change in now.changes} - differing.keys()
    own = {slug: f"{said}: {'; '.join(_limited(lines))}. {end}" for slug, lines in differing.items()}
    return own | dict.fromkeys(changing, f"{said}: what differs is in {', '.join(sorted(differing))}. {end}")


def _slugs(*plans: Plan) -> list[str]:
    return sorted({change.campaign for plan in plans for change in plan.changes})


def _sorted(slugs: Collection[str] | None) -> list[str] | None:
    return None if slugs is None else sorted(slugs)


def _differences(slug: str, approved: Plan, now: Plan) -> Iterator[str]:
    """Yield what differs in a campaign, one line for each ad set."""
    before, after = _by_id(slug, approved), _by_id(slug, now)
    for adset_id in sorted(before.keys() | after.keys()):
        was, is_now = before.get(adset_id), after.get(adset_id)
        if is_now is None and was is not None:
            yield f"{_named(was)}: {was.signs} is no longer to be done"
        elif was is None and is_now is not None:
            yield f"{_named(is_now)}: {is_now.signs} is new"
        elif was is not None and is_now is not None and (was.before, was.after) != (is_now.before, is_now.after):
            if was.signs == is_now.signs:
                yield f"{_named(is_now)}: {is_now.signs} as approved, but it targets other states now"
            else:
                yield f"{_named(is_now)}: {is_now.signs} instead of {was.signs}"


def _by_id(slug: str, plan: Plan) -> Mapping[str, PlannedChange]:
    return {change.id: change for change in plan.changes if change.campaign == slug}


def _named(change: PlannedChange) -> str:
    return f"“{change.name}” ({change.id})"


def _limited(lines: Sequence[str]) -> Sequence[str]:
    if len(lines) <= MAX_LINES:
        return lines
    return (*lines[: MAX_LINES - 1], f"and {len(lines) - MAX_LINES + 1} more")
