"""Meta's official SDK works against the sandbox, with its strengths and its known losses."""

from collections.abc import Iterator
from typing import Any

import pytest
from facebook_business.adobjects.ad import Ad
from facebook_business.adobjects.adset import AdSet
from facebook_business.adobjects.campaign import Campaign
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

from sandbox.meta import MetaWorld, faults
from tests.sandbox.conftest import CAMPAIGN


@pytest.fixture
def api(meta: MetaWorld) -> Iterator[Any]:
    """Return an api object of the SDK that talks to the sandbox."""
    meta.app_secret = "fake-app-secret"
    session = FacebookSession(app_secret=meta.app_secret, access_token=meta.token, timeout=5)
    session.GRAPH = meta.url
    session.requests.trust_env = False
    yield FacebookAdsApi(session, api_version="v26.0")
    session.requests.close()


def test_reads(meta: MetaWorld, api: Any) -> None:
    """The SDK pages by cursor and asks for the total."""
    ids = [meta.add_adset(CAMPAIGN, f"Set {number}", "FL") for number in range(5)]
    params = {"limit": 2, "effective_status": ["ACTIVE"]}
    cursor = Campaign(CAMPAIGN, api=api).get_ad_sets(fields=["id", "name", "targeting"], params=params)
    assert cursor.total() == 5
    found = list(cursor)
    assert [adset["id"] for adset in found] == ids
    assert found[0]._json["targeting"] == meta.targeting(ids[0])
    assert meta.round_trips == 3


def test_loses_rows_behind_an_empty_page(meta: MetaWorld, api: Any) -> None:
    """The cursor of the SDK stops at an empty page, as it does at Meta."""
    for number in range(4):
        meta.add_adset(CAMPAIGN, f"Set {number}", "FL")
    meta.empty_pages = 1
    assert len(list(Campaign(CAMPAIGN, api=api).get_ad_sets(params={"limit": 2}))) == 2


def test_writes(meta: MetaWorld, api: Any) -> None:
    """An update returns the object, filled when fields are asked for."""
    adset = meta.add_adset(CAMPAIGN, "Broad", "FL")
    targeting = {"geo_locations": {"regions": [{"key": "3878"}]}}
    AdSet(adset, api=api).api_update(params={"targeting": targeting})
    assert meta.states(adset) == {"OH"}
    ad = meta.ads_of(adset)[0]
    updated = Ad(ad.id, api=api).api_update(fields=["effective_status"], params={"status": "PAUSED"})
    assert updated["effective_status"] == "PAUSED"


def test_errors(meta: MetaWorld, api: Any) -> None:
    """A refusal arrives with code, subcode and HTTP status."""
    adset = meta.add_adset(CAMPAIGN, "Broad", "FL")
    meta.fail(faults.THROTTLED_ACCOUNT, on="GET adset")
    with pytest.raises(FacebookRequestError) as caught:
        AdSet(adset, api=api).api_get(fields=["name"])
    error = caught.value
    assert (error.api_error_code(), error.api_error_subcode(), error.http_status()) == (17, 2446079, 400)
    assert error.api_transient_error()


def test_takes_a_gateway_page_for_an_answer(meta: MetaWorld, api: Any) -> None:
    """Most HTML with 5xx counts as success for the SDK, which then trips over it."""
    adset = meta.add_adset(CAMPAIGN, "Broad", "FL")
    meta.fail(faults.BAD_GATEWAY_HTML, on="POST adset")
    with pytest.raises(TypeError):
        AdSet(adset, api=api).api_update(params={"name": "New"})


def test_batches(meta: MetaWorld, api: Any) -> None:
    """Callbacks get raw replies; items that Meta left out come back as a new batch."""
    first, second = meta.ads_of(meta.add_adset(CAMPAIGN, "Broad, 50% & more", "FL"))
    meta.fail(faults.NULL_ITEM, on="POST ad")
    answers: list[Any] = []
    batch = api.new_batch()
    for ad in (first, second):
        Ad(ad.id, api=api).api_update(params={"status": "ACTIVE"}, batch=batch, success=answers.append)
    AdSet(first.adset.id, api=api).api_get(fields=["name"], batch=batch, success=answers.append)
    rest = batch.execute()
    assert [answer.json() for answer in answers] == [
        {"success": True},
        {"name": "Broad, 50% & more", "id": first.adset.id},
    ]
    assert rest is not None
    assert rest.execute() is None
    assert [write.object_id for write in meta.writes] == [second.id, first.id]
