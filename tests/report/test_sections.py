"""The sections, rows and counts of mails of unusual days."""

from dataclasses import replace

from closrads.domain.adset_results import Result
from closrads.domain.results import RunResult
from closrads.report.render import build_report
from tests.report.mails import MISSING_FORM, NEW_YORK, REVERTED, UNCHANGED, adsets, campaign, dry, run
from tests.report.scenarios import scenario_mails


def text_of(result: RunResult) -> str:
    """Return the text part of the mail about a run."""
    return build_report(result, NEW_YORK).text


def test_what_is_kept_while_a_name_cannot_be_read_runs() -> None:
    """No state was taken out, so more run than are wanted, and the mail says which."""
    mail = scenario_mails()["unknown states"]

    assert "Running now (15): AL, AR, FL, GA, IL, IN, KY, MO, MS, NC, OH, PA, SC, TN, TX\n" in mail.text
    assert "\nRunning, not wanted: PA\n" in mail.text


def test_in_a_dry_run_too() -> None:
    """What would be kept runs now, as what would be taken away does."""
    kept = replace(adsets(1, Result.UPDATED)[0], added=("NE",), removed=("AR",), extra=("CA",))

    assert "\nRunning, not wanted: AR, CA\n" in text_of(dry(run(campaign("Veterans", [kept]))))


def test_two_things_of_one_campaign_are_no_two_campaigns() -> None:
    """They are counted as what they are."""
    assert scenario_mails()["unknown states"].subject.startswith("⚠ 2 things need you, ")
    odd = replace(campaign("Veterans", adsets(1, UNCHANGED)), unmapped_states=("GU",))
    both = run(odd, replace(odd, slug="truckers", campaign_name="Truckers", unmapped_states=("PR", "VI")))
    text = text_of(both)

    assert "\n2 campaigns need you: Veterans has a state from CLOSRTECH that Meta does not know, and 1 more" in text
    assert "\n* Truckers has states from CLOSRTECH that Meta does not know: “PR”, “VI”\n" in text
    unreadable = text_of(run(replace(odd, unmapped_states=("Nord", "Süd"))))
    assert "\n* Veterans has names from CLOSRTECH that are not states: “Nord”, “Süd”\n" in unreadable


def test_a_run_that_never_began_has_no_line_of_a_campaign() -> None:
    """CLOSRADS itself is none."""
    text = scenario_mails()["bad settings"].text

    assert "CAMPAIGNS" not in text
    assert "=== " not in text


def test_what_is_not_known_is_not_told() -> None:
    """Neither what is wanted nor what runs: then a campaign has no details."""
    text = scenario_mails()["closrtech down"].text

    assert "✗ Truckers: not updated, its ads run as before\n" in text
    assert "=== " not in text


def test_a_line_counts_the_first_troubles_of_a_campaign() -> None:
    """A phone has room for two of them."""
    bad = (Result.FAILED, Result.SKIPPED_PREFLIGHT, REVERTED, Result.NEEDS_ATTENTION, Result.DEFERRED)
    mixed = [adset for number, result in enumerate(bad) for adset in adsets(2, result, start=2 * number)]

    assert "✗ Veterans: of 10: 2 put back as before, 2 not updated and 6 more\n" in text_of(
        run(campaign("Veterans", mixed))
    )


def test_the_ads_of_many_ad_sets_are_not_linked() -> None:
    """The links to the ad sets are, and there the ads are to be seen."""
    for count in (3, 4):
        text = text_of(run(campaign("Veterans", adsets(count, Result.FAILED, MISSING_FORM))))

        assert text.count("selected_adset_ids") == count
        assert text.count("selected_ad_ids") == (3 if count == 3 else 0)


def test_a_name_with_a_colon_stays_whole() -> None:
    """Of several things, the first sentence says less of the first one, but never cuts a name."""
    names = (replace(campaign(f"US: {name}"), campaign_errors=("empty",)) for name in ("Veterans", "Truckers"))
    stuck = campaign("Vets: US", adsets(2, Result.FAILED, MISSING_FORM, prefix="Q2: "))

    assert "\n2 campaigns need you: US: Veterans, US: Truckers were not updated, because" in text_of(run(*names))
    assert "\n2 ad sets need you: Q2: Broad 30+ (Vets: US) could not be updated, and 1 more.\n" in text_of(run(stuck))


def test_the_first_box_is_what_the_first_sentence_is_about() -> None:
    """Also where something else is more serious, and needs nobody; the colour of the whole is that of the worst."""
    mail = scenario_mails()["trouble"]

    assert "\n1 ad needs you: Static - Sunrise Rig (Truckers) has lost its lead form.\n" in mail.text
    assert mail.text.index("LEAD FORM LOST") < mail.text.index("UPDATED, THEN PUT BACK AS BEFORE")
    assert mail.html.index('<h1 class="red-ink"') < mail.html.index('<h2 class="orange-ink"')
