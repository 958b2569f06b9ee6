"""The check of a campaign's demand at CLOSRTECH."""

from collections.abc import Iterator
from functools import partial

from closrads.cli.doctor.findings import Check, Finding, failed, not_checked, ok, warning
from closrads.cli.doctor.parameters import ParameterState
from closrads.clock import Clock
from closrads.closrtech_client import get_demand
from closrads.domain.settings import CampaignConfig, Settings
from closrads.errors import ClosradsError, ClosrtechAccessError, ClosrtechDataError
from closrads.report.wording.phrases import several
from closrads.state_mapper import is_state


def check_feed(campaign: CampaignConfig, settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Request a campaign's demand as a run does, but only once."""
    name = f"CLOSRTECH: {campaign.slug}"
    try:
        demand = get_demand(campaign.closrtech_campaign, login=settings.closrtech, clock=clock)
    except ClosrtechDataError as error:
        yield failed(name, str(error), "ask CLOSRTECH; until then runs leave this campaign as it is")
    except ClosrtechAccessError as error:
        yield failed(name, str(error), "correct what it names with `push-config`")
    except ClosradsError as error:
        yield failed(name, str(error), "check closrtech/base_url; if it is right, ask CLOSRTECH")
    else:
        unknown = [code for code in demand if not is_state(code)]
        wanted = sum(leads >= campaign.limits.min_demand for code, leads in demand.items() if is_state(code))
        said = several(wanted, "state") + " with demand"
        if few := len(demand) - len(unknown) - wanted:
            said += f"; {few} with fewer than the {campaign.limits.min_demand} leads of limits/min_demand"
        if unknown:
            said += f"; unknown: {', '.join(unknown)}"
        if not wanted:
            remedy = "lower limits/min_demand with `push-config`, or ask CLOSRTECH" if few else "ask CLOSRTECH"
            yield failed(name, said, f"{remedy}; until then runs leave this campaign as it is")
        elif unknown:
            yield warning(name, said, "runs leave the unknown ones out: ask CLOSRTECH")
        else:
            yield ok(name, said)


def checks_of_closrtech(settings: Settings, state: ParameterState, clock: Clock) -> Iterator[Check]:
    """Yield the check of each enabled campaign."""
    for campaign in (campaign for campaign in settings.campaigns if campaign.enabled):
        name = f"CLOSRTECH: {campaign.slug}"
        if "closrtech" in state.broken:
            yield not_checked(name, "closrtech/…")
        else:
            yield Check(name, partial(check_feed, campaign, settings, clock))
