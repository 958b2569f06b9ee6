"""Stories that once went wrong, as small as they go.

`python -m tests.simulation --seed N --shrink` makes one small and prints it as it stands here.
"""

from collections.abc import Mapping

from tests.simulation.story import (
    AdSetSpec,
    AdSpec,
    Answer,
    At,
    CampaignSpec,
    Change,
    Crash,
    Deed,
    During,
    Echo,
    Effect,
    Fate,
    Log,
    Operator,
    Person,
    Run,
    Story,
    World,
)

REGRESSIONS: Mapping[str, Story] = {
    "a re-publish after a rollback is refused": Story(
        seed=285,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="CA FL GA NY SC",
                    adsets=(AdSetSpec(name="Birch", states="CA GA NY OH", ads=(AdSpec(name="Birch 1"),)),),
                ),
            )
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 recheck 3", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 1", at=126000.0, action="recheck", scheduled=126000.0),
            Run(name="day 2 recheck 2", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=212400.0, action="recheck", scheduled=212400.0),
            Run(name="day 3 recheck 2", at=294840.0, action="recheck", scheduled=294840.0),
        ),
        events=(Answer(run="day 1 sync", on="POST ad", skip=0, times=99, answer="HTML 502 success"),),
        calm=86400.0,
    ),
    "Meta pauses an ad ten minutes after the write": Story(
        seed=13,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="CA GA OH",
                    adsets=(
                        AdSetSpec(
                            name="Birch",
                            states="CA GA OH",
                            ads=(AdSpec(name="Birch 3", fate=Fate(effect=Effect.PAUSED_WITH_ISSUE, stubborn=True)),),
                        ),
                    ),
                    meta_campaigns=2,
                ),
            )
        ),
        runs=(
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=212400.0, action="recheck", scheduled=212400.0),
            Run(name="day 3 recheck 2", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 recheck 1", at=298800.0, action="recheck", scheduled=298800.0),
            Run(name="day 4 recheck 2", at=381240.0, action="recheck", scheduled=381240.0),
        ),
        events=(Operator(when=At(seconds=172800.0), change=Change.DEMAND, value="AL FL SC TX", campaign="veterans"),),
        calm=172800.0,
    ),
    "a person adds an ad before a late rollback": Story(
        seed=420,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="truckers",
                    account="act_111",
                    demand="CA NY",
                    adsets=(AdSetSpec(name="Cedar", states="GA OH", ads=(AdSpec(name="Cedar 1"),)),),
                    meta_campaigns=2,
                ),
            )
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 2 recheck 2", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=212400.0, action="recheck", scheduled=212400.0),
            Run(name="day 3 recheck 2", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 recheck 1", at=298800.0, action="recheck", scheduled=298800.0),
            Run(name="day 4 recheck 2", at=381240.0, action="recheck", scheduled=381240.0),
        ),
        events=(
            Person(when=At(seconds=131375.6), deed=Deed.ADD_AD, target="Cedar", value="Cedar 53"),
            Operator(when=During(run="day 1 sync", call="POST ad", nth=1), change=Change.TOKEN, value="dead"),
            Operator(when=At(seconds=170784.1), change=Change.TOKEN, value="alive"),
        ),
        calm=172800.0,
    ),
    "a person pauses an ad right after its re-publish": Story(
        seed=18,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="truckers",
                    account="act_111",
                    demand="CA GA SC",
                    adsets=(AdSetSpec(name="Birch", states="FL NY SC TX", ads=(AdSpec(name="Birch 2"),)),),
                ),
            )
        ),
        runs=(
            Run(name="day 1 recheck 2", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=212400.0, action="recheck", scheduled=212400.0),
            Run(name="day 3 recheck 2", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 recheck 1", at=298800.0, action="recheck", scheduled=298800.0),
            Run(name="day 4 recheck 2", at=381240.0, action="recheck", scheduled=381240.0),
        ),
        events=(
            Person(
                when=During(run="day 2 sync", call="POST ad", nth=1, after=True), deed=Deed.PAUSE_AD, target="Birch 2"
            ),
        ),
        calm=172800.0,
    ),
    "a person edits an ad set that waits in a wave": Story(
        seed=206,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="CA GA OH SC",
                    adsets=(
                        AdSetSpec(name="Alder", states="AL GA NY TX", ads=(), echo=Echo.BARE),
                        AdSetSpec(name="Dogwood", states="AL TX", ads=(), meta_campaign=1),
                        AdSetSpec(name="Fir", states="CA GA OH", ads=()),
                        AdSetSpec(name="Gorse", states="CA FL NY TX", ads=(), echo=Echo.BARE),
                        AdSetSpec(name="Hazel", states="AL CA FL GA NY", ads=()),
                        AdSetSpec(name="Iris", states="CA GA", ads=()),
                        AdSetSpec(name="Juniper", states="AL FL NY SC", ads=(), meta_campaign=1),
                        AdSetSpec(name="Kerria", states="AL CA GA OH TX", ads=(), meta_campaign=1, echo=Echo.BARE),
                        AdSetSpec(name="Laurel", states="CA OH", ads=(), meta_campaign=1),
                        AdSetSpec(name="Nettle", states="CA GA OH", ads=()),
                        AdSetSpec(name="Olive", states="AL GA NY OH TX", ads=(), meta_campaign=1),
                        AdSetSpec(name="Poplar", states="AL CA NY TX", ads=(), meta_campaign=1),
                        AdSetSpec(name="Quince", states="AL CA TX", ads=(), meta_campaign=1),
                        AdSetSpec(name="Rowan", states="AL CA OH SC TX", ads=(), echo=Echo.BARE),
                        AdSetSpec(name="Sorrel", states="AL FL", ads=(), meta_campaign=1),
                        AdSetSpec(name="Thistle", states="CA FL GA SC TX", ads=()),
                        AdSetSpec(name="Umbel", states="FL GA SC TX", ads=(), echo=Echo.BARE),
                        AdSetSpec(name="Viburnum", states="FL GA OH TX", ads=(), meta_campaign=1),
                        AdSetSpec(name="Willow", states="AL FL SC", ads=()),
                        AdSetSpec(name="Yarrow", states="FL GA NY TX", ads=()),
                    ),
                    meta_campaigns=2,
                ),
            ),
            pace=4.0,
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 recheck 1", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 recheck 2", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 recheck 1", at=298800.0, action="recheck", scheduled=298800.0),
            Run(name="day 4 recheck 2", at=381240.0, action="recheck", scheduled=381240.0),
            Run(name="day 5 sync", at=383400.0, scheduled=383400.0),
            Run(name="day 5 recheck 1", at=385200.0, action="recheck", scheduled=385200.0),
            Run(name="day 5 recheck 2", at=467640.0, action="recheck", scheduled=467640.0),
        ),
        events=(
            Person(
                when=During(run="day 1 sync", call="POST adset", nth=7, after=True),
                deed=Deed.EDIT_AGE,
                target="Viburnum",
                value="43",
            ),
        ),
        calm=259200.0,
    ),
    "the echo of a write is spelled otherwise than the read": Story(
        seed=0,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="AL FL GA NY OH",
                    adsets=(
                        AdSetSpec(
                            name="Alder",
                            states="SC TX",
                            ads=(AdSpec(name="Alder 1", fate=Fate(seconds=1.0, stubborn=True)),),
                            echo=Echo.SPELLING,
                        ),
                    ),
                    meta_campaigns=2,
                ),
            )
        ),
        runs=(
            Run(name="day 3 recheck 2", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 recheck 1", at=298800.0, action="recheck", scheduled=298800.0),
            Run(name="day 4 recheck 2", at=381240.0, action="recheck", scheduled=381240.0),
            Run(name="day 5 sync", at=383400.0, scheduled=383400.0),
            Run(name="day 5 recheck 1", at=385200.0, action="recheck", scheduled=385200.0),
            Run(name="day 5 recheck 2", at=467640.0, action="recheck", scheduled=467640.0),
        ),
        events=(),
        calm=259200.0,
    ),
    "an ad breaks again after its rollback": Story(
        seed=2,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="mortgage",
                    account="act_222",
                    demand="AL CA OH SC",
                    adsets=(
                        AdSetSpec(name="Fir", states="FL GA NY OH", ads=(AdSpec(name="Fir 3", fate=Fate(relapses=2)),)),
                    ),
                ),
            )
        ),
        runs=(
            Run(name="day 1 recheck 2", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 1", at=126000.0, action="recheck", scheduled=126000.0),
            Run(name="day 2 recheck 2", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=212400.0, action="recheck", scheduled=212400.0),
            Run(name="day 3 recheck 2", at=294840.0, action="recheck", scheduled=294840.0),
        ),
        events=(),
        calm=86400.0,
    ),
    "a campaign is switched off with a half-done change": Story(
        seed=51,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="CA GA SC",
                    adsets=(AdSetSpec(name="Alder", states="FL NY", ads=(AdSpec(name="Alder 4"),), meta_campaign=1),),
                    meta_campaigns=2,
                ),
            )
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 recheck 2", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 1", at=126000.0, action="recheck", scheduled=126000.0),
            Run(name="day 2 recheck 2", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=212400.0, action="recheck", scheduled=212400.0),
            Run(name="day 3 recheck 2", at=294840.0, action="recheck", scheduled=294840.0),
        ),
        events=(
            Operator(when=At(seconds=47398.1), change=Change.ENABLED, value="false", campaign="veterans"),
            Crash(run="day 1 sync", call="POST ad", nth=1, after=True),
        ),
        calm=86400.0,
    ),
    "an HTML page with status 400 answers a write that is done": Story(
        seed=60,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="GA OH SC TX",
                    adsets=(AdSetSpec(name="Dogwood", states="AL SC", ads=(AdSpec(name="Dogwood 1"),)),),
                    meta_campaigns=2,
                ),
            )
        ),
        runs=(
            Run(name="day 1 recheck 1", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 2", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=212400.0, action="recheck", scheduled=212400.0),
            Run(name="day 3 recheck 2", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 recheck 1", at=298800.0, action="recheck", scheduled=298800.0),
            Run(name="day 4 recheck 2", at=381240.0, action="recheck", scheduled=381240.0),
        ),
        events=(Answer(run="day 2 sync", on="POST adset", skip=0, times=1, answer="HTML 400", applied=True),),
        calm=172800.0,
    ),
    "an undo that was never written covers a change whose ad breaks late": Story(
        seed=558,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="truckers",
                    account="act_111",
                    demand="AL FL SC TX",
                    adsets=(
                        AdSetSpec(
                            name="Birch",
                            states="CA GA NY OH",
                            ads=(AdSpec(name="Birch 2", fate=Fate(seconds=10800.0, stubborn=True)),),
                        ),
                    ),
                ),
            )
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 undo", at=38709.2, action="undo"),
            Run(name="day 1 recheck 3", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 1", at=126000.0, action="recheck", scheduled=126000.0),
            Run(name="day 2 recheck 2", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=212400.0, action="recheck", scheduled=212400.0),
            Run(name="day 3 recheck 2", at=294840.0, action="recheck", scheduled=294840.0),
        ),
        events=(Answer(run="day 1 undo", on="POST adset", skip=0, times=99, answer="truncated"),),
        calm=86400.0,
    ),
    "a recheck dies after it has noted an unexplained pause, and before its mail": Story(
        seed=2795,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="AL CA FL NY TX",
                    adsets=(
                        AdSetSpec(
                            name="Alder",
                            states="AL GA OH",
                            ads=(
                                AdSpec(name="Alder 3", fate=Fate(effect=Effect.PAUSED_WITH_ISSUE, stubborn=True)),
                                AdSpec(name="Alder 4", fate=Fate(seconds=1.0)),
                            ),
                            echo=Echo.BARE,
                        ),
                    ),
                ),
                CampaignSpec(
                    slug="truckers",
                    account="act_111",
                    demand="FL NY SC",
                    adsets=(
                        AdSetSpec(
                            name="Dogwood",
                            states="AL FL GA SC",
                            ads=(AdSpec(name="Dogwood 4", fate=Fate(effect=Effect.PAUSED_SILENTLY, relapses=2)),),
                            meta_campaign=1,
                            echo=Echo.BARE,
                        ),
                    ),
                    meta_campaigns=2,
                ),
            ),
            log=Log.FORBIDDEN,
            read_lag=2.0,
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 recheck 1", at=39600.0, action="recheck", scheduled=39600.0),
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=212400.0, action="recheck", scheduled=212400.0),
            Run(name="day 3 recheck 2", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 recheck 1", at=298800.0, action="recheck", scheduled=298800.0),
            Run(name="day 4 recheck 2", at=381240.0, action="recheck", scheduled=381240.0),
        ),
        events=(
            Crash(run="day 1 recheck 1", call="meta", nth=11, after=True),
            Answer(run="day 1 sync", on="POST adset", skip=4, times=99, answer="200 {}"),
        ),
        calm=172800.0,
    ),
    "the activity log explains a pause only after the rollback has re-published the other ads": Story(
        seed=2947,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="FL GA OH SC TX",
                    adsets=(
                        AdSetSpec(
                            name="Birch",
                            states="FL GA OH SC TX",
                            ads=(
                                AdSpec(
                                    name="Birch 2",
                                    fate=Fate(seconds=1200.0, effect=Effect.PAUSED_SILENTLY, stubborn=True),
                                ),
                                AdSpec(name="Birch 3", fate=Fate(stubborn=True)),
                            ),
                        ),
                    ),
                ),
            ),
            log=Log.DELAYED,
        ),
        runs=(
            Run(name="day 1 recheck 1", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 1", at=126000.0, action="recheck", scheduled=126000.0),
            Run(name="day 2 recheck 2", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=212400.0, action="recheck", scheduled=212400.0),
            Run(name="day 3 recheck 2", at=294840.0, action="recheck", scheduled=294840.0),
        ),
        events=(
            Operator(when=At(seconds=86400.0), change=Change.DEMAND, value="AL FL GA NY OH SC TX", campaign="veterans"),
        ),
        calm=86400.0,
    ),
    "the activity log explains a pause only after an undo has covered the change that broke the ad": Story(
        seed=6438,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="CA GA SC",
                    adsets=(
                        AdSetSpec(
                            name="Cedar",
                            states="AL CA GA TX",
                            ads=(
                                AdSpec(
                                    name="Cedar 2",
                                    fate=Fate(seconds=30.0, effect=Effect.PAUSED_SILENTLY, stubborn=True),
                                ),
                            ),
                        ),
                    ),
                ),
            ),
            log=Log.DELAYED,
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 undo", at=38169.50306018011, action="undo"),
            Run(name="day 1 recheck 2", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 1", at=126000.0, action="recheck", scheduled=126000.0),
            Run(name="day 2 recheck 2", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=212400.0, action="recheck", scheduled=212400.0),
            Run(name="day 3 recheck 2", at=294840.0, action="recheck", scheduled=294840.0),
        ),
        events=(),
        calm=86400.0,
    ),
    "an ad breaks while later invocations of the same run work on the other ad sets": Story(
        seed=71,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="CA NY",
                    adsets=(
                        AdSetSpec(name="Alder", states="AL CA", ads=(AdSpec(name="Alder 1"), AdSpec(name="Alder 2"))),
                        AdSetSpec(
                            name="Birch",
                            states="FL GA OH SC",
                            ads=(AdSpec(name="Birch 1", fate=Fate(seconds=30.0, stubborn=True)),),
                            meta_campaign=1,
                        ),
                        AdSetSpec(
                            name="Cedar",
                            states="AL CA FL GA",
                            ads=(AdSpec(name="Cedar 1"), AdSpec(name="Cedar 2")),
                            meta_campaign=1,
                        ),
                    ),
                    meta_campaigns=2,
                ),
                CampaignSpec(
                    slug="truckers",
                    account="act_111",
                    demand="AL NY OH SC",
                    adsets=(AdSetSpec(name="Elder", states="FL NY", ads=(AdSpec(name="Elder 1"),)),),
                ),
            ),
            tier="limited",
            processing=120.0,
        ),
        runs=(
            Run(name="day 2 recheck 2", at=208440.0, action="recheck", scheduled=208440.0, shared=True),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0, shared=True),
            Run(name="day 3 recheck 1", at=212400.0, action="recheck", scheduled=212400.0, shared=True),
            Run(name="day 3 recheck 2", at=294840.0, action="recheck", scheduled=294840.0, shared=True),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0, shared=True),
            Run(name="day 4 recheck 1", at=298800.0, action="recheck", scheduled=298800.0, shared=True),
            Run(name="day 4 recheck 2", at=381240.0, action="recheck", scheduled=381240.0, shared=True),
        ),
        events=(),
        calm=172800.0,
    ),
    "everything is paused during the canary, and stays so": Story(
        seed=1,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="AL FL",
                    adsets=(
                        AdSetSpec(name="Alder", states="TX", ads=(AdSpec(name="Alder 1"),)),
                        AdSetSpec(
                            name="Birch",
                            states="TX",
                            ads=(AdSpec(name="Birch 1", fate=Fate(seconds=2700.0, stubborn=True)),),
                        ),
                        AdSetSpec(name="Cedar", states="TX", ads=(AdSpec(name="Cedar 1"),)),
                        AdSetSpec(name="Dogwood", states="TX", ads=(AdSpec(name="Dogwood 1"),)),
                        AdSetSpec(name="Elder", states="TX", ads=(AdSpec(name="Elder 1"),)),
                    ),
                ),
            ),
            wave_size=2,
            pace=3.0,
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 recheck 1", at=41400.0, action="recheck", scheduled=41400.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 1", at=126000.0, action="recheck", scheduled=126000.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=212400.0, action="recheck", scheduled=212400.0),
        ),
        events=(Operator(During("day 1 sync", "POST adset", 2, after=True), Change.PAUSED, "true"),),
        calm=86400.0,
    ),
    "a person sets the very states that a sync is writing, and an undo takes them back": Story(
        seed=40808,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="AL GA NY SC TX",
                    adsets=(AdSetSpec(name="Alder", states="FL OH SC", ads=(AdSpec(name="Alder 1"),)),),
                ),
            ),
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 undo", at=47010.0, action="undo"),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
        ),
        events=(
            Person(
                when=During(run="day 1 sync", call="meta", nth=2, after=True),
                deed=Deed.EDIT_REGIONS,
                target="Alder",
                value="AL GA NY SC TX",
            ),
        ),
        calm=86400.0,
    ),
    "an ad breaks in the seconds in which an undo that was never written is closed": Story(
        seed=71399,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="AL CA FL SC TX",
                    adsets=(
                        AdSetSpec(
                            name="Alder",
                            states="AL FL NY SC",
                            ads=(AdSpec(name="Alder 2", fate=Fate(seconds=10800.0, stubborn=True)),),
                        ),
                    ),
                ),
            ),
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 undo", at=43703.4, action="undo"),
            Run(name="day 1 recheck 1", at=48600.0, action="recheck", scheduled=48600.0),
            Run(name="day 1 recheck 2", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 1", at=126000.0, action="recheck", scheduled=126000.0),
        ),
        events=(Crash(run="day 1 undo", call="POST adset", nth=1, after=False),),
        calm=86400.0,
    ),
    "an ad was put back to states that it had broken under unseen, and has yet to show that it is broken": Story(
        seed=400538,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="AL FL SC",
                    adsets=(
                        AdSetSpec(
                            name="Alder",
                            states="CA GA NY SC",
                            ads=(
                                AdSpec(
                                    name="Alder 2",
                                    fate=Fate(seconds=10800.0, effect=Effect.PAUSED_SILENTLY, stubborn=True),
                                ),
                            ),
                            meta_campaign=1,
                            learning="LEARNING",
                        ),
                    ),
                    meta_campaigns=2,
                ),
            )
        ),
        runs=(
            Run(name="day 1 hour 12", at=81000.0, scheduled=81000.0),
            Run(name="day 1 hour 14", at=88200.0, scheduled=88200.0),
            Run(name="day 1 hour 18", at=102600.0, scheduled=102600.0),
            Run(name="day 1 recheck 1", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 hour 1", at=127800.0, scheduled=127800.0),
            Run(name="day 2 hour 3", at=135000.0, scheduled=135000.0),
            Run(name="day 2 hour 4", at=138600.0, scheduled=138600.0),
            Run(name="day 2 hour 10", at=160200.0, scheduled=160200.0),
            Run(name="day 2 hour 18", at=189000.0, scheduled=189000.0),
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 hour 5", at=228600.0, scheduled=228600.0),
            Run(name="day 3 hour 11", at=250200.0, scheduled=250200.0),
            Run(name="day 3 hour 14", at=261000.0, scheduled=261000.0),
            Run(name="day 3 hour 17", at=271800.0, scheduled=271800.0),
            Run(name="day 3 hour 19", at=279000.0, scheduled=279000.0),
            Run(name="day 3 recheck 1", at=294840.0, action="recheck", scheduled=294840.0),
        ),
        events=(
            Operator(when=At(seconds=86400.0), change=Change.DEMAND, value="CA FL GA NY OH SC TX", campaign="veterans"),
        ),
        calm=86400.0,
    ),
    "the demand changes after a plan was approved, but with damping it asks for the same change": Story(
        seed=402488,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="AL CA",
                    adsets=(AdSetSpec(name="Alder", states="CA GA NY OH TX", ads=()),),
                    meta_campaigns=2,
                ),
            ),
            remove_after_days=1,
        ),
        runs=(
            Run(name="day 1 recheck 1", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 1 approved", at=33904.34227949359, plan_age=33844.34227949359),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 recheck 1", at=381240.0, action="recheck", scheduled=381240.0),
        ),
        events=(Operator(when=At(seconds=16982.2), change=Change.DEMAND, value="AL NY", campaign="veterans"),),
        calm=86400.0,
    ),
    "a run by hand rechecks what a later run has changed again": Story(
        seed=601251,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="FL GA NY",
                    adsets=(
                        AdSetSpec(
                            name="Alder", states="GA TX", ads=(AdSpec(name="Alder 1", fate=Fate(stubborn=True)),)
                        ),
                    ),
                ),
            )
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 recheck 2", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 asked 2", at=128524.2, action="recheck", about="day 1 sync"),
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 recheck 1", at=381240.0, action="recheck", scheduled=381240.0),
        ),
        events=(Operator(when=At(seconds=86400.0), change=Change.DEMAND, value="AL CA FL SC", campaign="veterans"),),
        calm=172800.0,
    ),
    "the activity log lacks the last row of a person's pause, and an earlier pause was Meta's": Story(
        seed=1002244,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="CA GA SC",
                    adsets=(
                        AdSetSpec(
                            name="Alder",
                            states="NY OH SC",
                            ads=(AdSpec(name="Alder 1", fate=Fate(seconds=1.0, effect=Effect.PAUSED_WITH_ISSUE)),),
                        ),
                    ),
                ),
            ),
            pace=1.0,
            log=Log.GAPPY,
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 recheck 2", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 recheck 1", at=381240.0, action="recheck", scheduled=381240.0),
            Run(name="day 5 sync", at=383400.0, scheduled=383400.0),
            Run(name="day 5 recheck 1", at=467640.0, action="recheck", scheduled=467640.0),
        ),
        events=(Person(when=During(run="day 2 sync", call="GET ads", nth=1), deed=Deed.PAUSE_AD, target="Alder 1"),),
        calm=172800.0,
    ),
    "Meta pauses an ad silently between the plan of an undo and its write": Story(
        seed=1006832,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="CA GA NY TX",
                    adsets=(
                        AdSetSpec(name="Alder", states="AL OH SC", ads=(AdSpec(name="Alder 2"),)),
                        AdSetSpec(
                            name="Birch",
                            states="AL CA FL OH TX",
                            ads=(
                                AdSpec(
                                    name="Birch 1",
                                    fate=Fate(seconds=30.0, effect=Effect.PAUSED_SILENTLY, stubborn=True),
                                ),
                            ),
                        ),
                    ),
                ),
            ),
            pace=1.0,
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 2 recheck 2", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 recheck 1", at=381240.0, action="recheck", scheduled=381240.0),
            Run(name="day 1 asked 1", at=37835.9, action="undo"),
        ),
        events=(),
        calm=172800.0,
    ),
    "an ad that Meta paused is switched on and paused again between two reads": Story(
        seed=4010656,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="CA FL TX",
                    adsets=(
                        AdSetSpec(
                            name="Alder",
                            states="CA GA NY SC",
                            ads=(
                                AdSpec(
                                    name="Alder 1", fate=Fate(seconds=2.5, effect=Effect.PAUSED_SILENTLY, stubborn=True)
                                ),
                            ),
                        ),
                    ),
                ),
            )
        ),
        runs=(
            Run(name="day 1 recheck 1", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 recheck 1", at=381240.0, action="recheck", scheduled=381240.0),
        ),
        events=(
            Person(when=During(run="day 2 sync", call="GET ads", nth=3), deed=Deed.SWITCH_ON_AD, target="Alder 1"),
            Person(when=During(run="day 2 sync", call="GET adset", nth=1), deed=Deed.PAUSE_AD, target="Alder 1"),
        ),
        calm=172800.0,
    ),
    "the log explains a pause after it was last read, and before the ledger is told": Story(
        seed=4009230,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="FL NY SC TX",
                    adsets=(
                        AdSetSpec(name="Alder", states="AL SC", ads=(AdSpec(name="Alder 1"),)),
                        AdSetSpec(
                            name="Birch",
                            states="AL GA OH SC TX",
                            ads=(
                                AdSpec(name="Birch 2", fate=Fate(stubborn=True)),
                                AdSpec(
                                    name="Birch 3",
                                    fate=Fate(seconds=1200.0, effect=Effect.PAUSED_SILENTLY, stubborn=True),
                                ),
                            ),
                            reaches_beyond=True,
                            learning="FAIL",
                        ),
                    ),
                ),
            ),
            pace=3.0,
            log=Log.DELAYED,
        ),
        runs=(
            Run(name="day 1 again", at=37800.0, scheduled=37800.0),
            Run(name="day 1 recheck 1", at=39600.0, action="recheck", scheduled=39600.0),
            Run(name="day 3 recheck 2", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 recheck 1", at=381240.0, action="recheck", scheduled=381240.0),
            Run(name="day 5 sync", at=383400.0, scheduled=383400.0),
            Run(name="day 5 recheck 1", at=467640.0, action="recheck", scheduled=467640.0),
        ),
        events=(),
        calm=259200.0,
    ),
    "an edit that a run replaced is told by the run that finishes its change": Story(
        seed=4004066,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="truckers",
                    account="act_111",
                    demand="CA OH TX",
                    adsets=(
                        AdSetSpec(
                            name="Dogwood",
                            states="AL CA NY",
                            ads=(AdSpec(name="Dogwood 2", fate=Fate(seconds=1.0)),),
                            echo=Echo.BARE,
                        ),
                    ),
                ),
            ),
            pace=1.0,
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 recheck 1", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0, seconds=120.0),
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 recheck 1", at=381240.0, action="recheck", scheduled=381240.0),
        ),
        events=(
            Answer(run="day 2 sync", on="GET adset", skip=0, times=99, answer="time-out"),
            Person(
                when=During(run="day 1 sync", call="GET adset", nth=3),
                deed=Deed.EDIT_REGIONS,
                target="Dogwood",
                value="FL GA OH",
            ),
        ),
        calm=172800.0,
    ),
    "Meta pauses an ad during the rollback with which a sync begins": Story(
        seed=6001175,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="AL CA NY OH SC",
                    adsets=(
                        AdSetSpec(
                            name="Alder",
                            states="AL GA OH SC TX",
                            ads=(
                                AdSpec(name="Alder 1", fate=Fate(effect=Effect.PAUSED_SILENTLY, stubborn=True)),
                                AdSpec(name="Alder 2", fate=Fate(seconds=1.0, effect=Effect.PAUSED_SILENTLY)),
                            ),
                        ),
                    ),
                ),
            ),
            log=Log.DELAYED,
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 by hand", at=40527.81528450968),
            Run(name="day 1 recheck 1", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 recheck 1", at=381240.0, action="recheck", scheduled=381240.0),
        ),
        events=(Answer(run="day 1 by hand", on="POST ad", skip=0, times=1, answer="unknown error"),),
        calm=86400.0,
    ),
    "a person pauses an ad that a re-publish with a lost answer has switched on": Story(
        seed=6003438,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="truckers",
                    account="act_111",
                    demand="AL GA NY SC",
                    adsets=(
                        AdSetSpec(
                            name="Dogwood",
                            states="AL FL GA",
                            ads=(
                                AdSpec(name="Dogwood 1"),
                                AdSpec(name="Dogwood 2", fate=Fate(seconds=1.0, effect=Effect.PAUSED_WITH_ISSUE)),
                            ),
                        ),
                    ),
                ),
            )
        ),
        runs=(
            Run(name="day 1 by hand", at=37797.28488297735, campaigns=("truckers",)),
            Run(name="day 2 hour 15", at=178200.0, scheduled=178200.0),
            Run(name="day 2 hour 21", at=199800.0, scheduled=199800.0),
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 hour 7", at=235800.0, scheduled=235800.0),
            Run(name="day 3 hour 15", at=264600.0, scheduled=264600.0),
            Run(name="day 3 hour 16", at=268200.0, scheduled=268200.0),
            Run(name="day 3 hour 21", at=286200.0, scheduled=286200.0),
            Run(name="day 3 recheck 1", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 hour 13", at=343800.0, scheduled=343800.0),
            Run(name="day 4 hour 15", at=351000.0, scheduled=351000.0),
            Run(name="day 4 recheck 1", at=381240.0, action="recheck", scheduled=381240.0),
        ),
        events=(
            Answer(run="day 1 by hand", on="batch", skip=0, times=2, answer="unknown error 99"),
            Answer(run="day 1 by hand", on="POST ad", skip=0, times=99, answer="HTML 500", applied=True),
            Person(
                when=During(run="day 1 by hand", call="POST ad", nth=3, after=True),
                deed=Deed.PAUSE_AD,
                target="Dogwood 2",
            ),
        ),
        calm=172800.0,
    ),
    "a person sets again what a failed rollback had taken away": Story(
        seed=5016019,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="AL NY OH",
                    adsets=(AdSetSpec(name="Alder", states="CA SC", ads=()),),
                    category="HOUSING",
                ),
                CampaignSpec(
                    slug="truckers",
                    account="act_111",
                    demand="AL GA",
                    adsets=(
                        AdSetSpec(
                            name="Birch", states="CA GA SC", ads=(AdSpec(name="Birch 1", fate=Fate(relapses=2)),)
                        ),
                    ),
                ),
                CampaignSpec(
                    slug="mortgage",
                    account="act_222",
                    demand="AL FL NY",
                    adsets=(AdSetSpec(name="Elder", states="AL GA OH TX", ads=(), learning="LEARNING"),),
                ),
            )
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 recheck 1", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 recheck 2", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 recheck 1", at=381240.0, action="recheck", scheduled=381240.0),
            Run(name="day 5 sync", at=383400.0, scheduled=383400.0),
            Run(name="day 5 recheck 1", at=467640.0, action="recheck", scheduled=467640.0),
        ),
        events=(
            Person(
                when=During(run="day 2 recheck 1", call="meta", nth=1, after=True),
                deed=Deed.EDIT_REGIONS,
                target="Birch",
                value="AL GA",
            ),
            Answer(run="day 2 sync", on="GET ads", skip=4, times=1, answer="token invalid"),
        ),
        calm=259200.0,
    ),
    "an ad is switched on amid the write, and paused before the log tells": Story(
        seed=5019764,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="GA NY SC TX",
                    adsets=(
                        AdSetSpec(
                            name="Alder",
                            states="FL NY OH TX",
                            ads=(
                                AdSpec(
                                    name="Alder 1",
                                    status="PAUSED",
                                    fate=Fate(seconds=1.0, effect=Effect.PAUSED_WITH_ISSUE),
                                ),
                            ),
                        ),
                    ),
                ),
            ),
            log=Log.DELAYED,
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 recheck 2", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 recheck 1", at=381240.0, action="recheck", scheduled=381240.0),
            Run(name="day 5 sync", at=383400.0, scheduled=383400.0),
            Run(name="day 5 recheck 1", at=467640.0, action="recheck", scheduled=467640.0),
        ),
        events=(
            Person(when=During(run="day 1 sync", call="POST adset", nth=1), deed=Deed.SWITCH_ON_AD, target="Alder 1"),
        ),
        calm=86400.0,
    ),
    "an ad is paused between the write of a recovery and its next read": Story(
        seed=6023260,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="FL GA NY SC TX",
                    adsets=(
                        AdSetSpec(
                            name="Alder",
                            states="AL CA NY OH TX",
                            ads=(
                                AdSpec(
                                    name="Alder 1",
                                    status="PAUSED",
                                    fate=Fate(seconds=1.0, effect=Effect.PAUSED_SILENTLY),
                                ),
                            ),
                            echo=Echo.BARE,
                        ),
                    ),
                ),
            ),
            pace=1.0,
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 recheck 1", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=294840.0, action="recheck", scheduled=294840.0),
        ),
        events=(
            Crash(run="day 1 sync", call="any", nth=26, after=True),
            Person(when=At(seconds=45148.7), deed=Deed.SWITCH_ON_AD, target="Alder 1"),
            Answer(run="day 1 sync", on="batch", skip=0, times=99, answer="null body"),
        ),
        calm=86400.0,
    ),
    "a person pauses an ad minutes after its rollback, and the log lags behind": Story(
        seed=5022383,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="AL FL",
                    adsets=(
                        AdSetSpec(
                            name="Alder",
                            states="AL FL GA NY",
                            ads=(AdSpec(name="Alder 2", fate=Fate(seconds=1.0, effect=Effect.PAUSED_WITH_ISSUE)),),
                            learning="",
                        ),
                        AdSetSpec(
                            name="Birch",
                            states="AL CA",
                            ads=(
                                AdSpec(name="Birch 1"),
                                AdSpec(name="Birch 2"),
                                AdSpec(name="Birch 3"),
                                AdSpec(name="Birch 4"),
                            ),
                            meta_campaign=1,
                            learning="FAIL",
                        ),
                    ),
                    meta_campaigns=2,
                ),
            ),
            tier="limited",
            pace=3.0,
            log=Log.DELAYED,
            push_after=1.0,
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 recheck 2", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=294840.0, action="recheck", scheduled=294840.0),
        ),
        events=(
            Person(when=During(run="day 1 sync", call="any", nth=40, after=True), deed=Deed.PAUSE_AD, target="Alder 2"),
        ),
        calm=86400.0,
    ),
    "a shared run is switched off before it could tell of an ad that it broke": Story(
        seed=5018649,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="AL FL NY OH SC",
                    adsets=(
                        AdSetSpec(
                            name="Alder",
                            states="FL GA OH SC",
                            ads=(AdSpec(name="Alder 4", fate=Fate(seconds=1.0, effect=Effect.PAUSED_SILENTLY)),),
                        ),
                    ),
                    meta_campaigns=2,
                ),
            ),
            pace=3.0,
            log=Log.FORBIDDEN,
            read_lag=2.0,
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0, shared=True),
            Run(name="day 1 recheck 1", at=122040.0, action="recheck", scheduled=122040.0, shared=True),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0, shared=True),
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0, shared=True),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0, shared=True),
            Run(name="day 3 recheck 1", at=294840.0, action="recheck", scheduled=294840.0, shared=True),
        ),
        events=(
            Crash(run="day 1 sync", call="POST ad", nth=1, after=True),
            Operator(when=At(seconds=38768.4), change=Change.PAUSED, value="true"),
        ),
        calm=86400.0,
    ),
    "an ad is switched on again just before a change of its ad set": Story(
        seed=7100021,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="FL GA NY OH TX",
                    adsets=(
                        AdSetSpec(
                            name="Alder",
                            states="FL OH TX",
                            ads=(
                                AdSpec(name="Alder 1", fate=Fate(stubborn=True)),
                                AdSpec(
                                    name="Alder 3", fate=Fate(seconds=2.5, effect=Effect.PAUSED_SILENTLY, stubborn=True)
                                ),
                            ),
                            meta_campaign=1,
                            reaches_beyond=True,
                        ),
                    ),
                    meta_campaigns=2,
                ),
            ),
            log=Log.DELAYED,
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 by hand", at=37809.93987926264, campaigns=("veterans",)),
            Run(name="day 2 recheck 2", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 recheck 1", at=381240.0, action="recheck", scheduled=381240.0),
        ),
        events=(Operator(when=At(seconds=86400.0), change=Change.DEMAND, value="AL TX", campaign="veterans"),),
        calm=172800.0,
    ),
    "a run that was opened before another one changes an ad set after it": Story(
        seed=7110258,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="CA FL NY SC",
                    adsets=(
                        AdSetSpec(name="Cedar", states="CA FL NY SC", ads=(AdSpec(name="Cedar 2", status="PAUSED"),)),
                    ),
                ),
            )
        ),
        runs=(
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0, shared=True),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0, shared=True),
            Run(name="day 3 by hand", at=210596.38602134757, campaigns=("veterans",)),
            Run(name="day 3 recheck 2", at=294840.0, action="recheck", scheduled=294840.0, shared=True),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0, shared=True),
            Run(name="day 4 recheck 1", at=381240.0, action="recheck", scheduled=381240.0, shared=True),
            Run(name="day 5 sync", at=383400.0, scheduled=383400.0, shared=True),
            Run(name="day 5 recheck 1", at=467640.0, action="recheck", scheduled=467640.0, shared=True),
            Run(name="day 3 asked 3", at=210650.7, action="undo", campaigns=("veterans",)),
        ),
        events=(
            Operator(when=At(seconds=172800.0), change=Change.DEMAND, value="OH TX", campaign="veterans"),
            Operator(
                when=At(seconds=259200.0), change=Change.DEMAND, value="CA FL GA NY OH SC TX", campaign="veterans"
            ),
        ),
        calm=259200.0,
    ),
    "a person pauses an ad set and deletes its Meta campaign": Story(
        seed=7504735,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="AL FL OH SC",
                    adsets=(
                        AdSetSpec(
                            name="Alder",
                            states="CA NY",
                            ads=(AdSpec(name="Alder 1", fate=Fate(effect=Effect.PAUSED_WITH_ISSUE)),),
                        ),
                    ),
                ),
            ),
            pace=3.0,
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 recheck 2", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=294840.0, action="recheck", scheduled=294840.0),
        ),
        events=(
            Person(when=During(run="day 1 sync", call="meta", nth=3), deed=Deed.PAUSE_ADSET, target="Alder"),
            Person(
                when=During(run="day 1 sync", call="GET adset", nth=1, after=True),
                deed=Deed.DELETE_CAMPAIGN,
                target="Alder",
            ),
        ),
        calm=86400.0,
    ),
    "a person pauses an ad that a rollback has just switched on, before a sync": Story(
        seed=7601245,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="GA NY OH",
                    adsets=(
                        AdSetSpec(
                            name="Alder",
                            states="AL FL GA OH TX",
                            ads=(AdSpec(name="Alder 1", fate=Fate(effect=Effect.PAUSED_SILENTLY, stubborn=True)),),
                            learning="",
                        ),
                    ),
                ),
            ),
            log=Log.DELAYED,
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 by hand", at=37808.6583845039, cold=True),
            Run(name="day 1 recheck 1", at=39600.0, action="recheck", scheduled=39600.0),
            Run(name="day 1 recheck 2", at=41400.0, action="recheck", scheduled=41400.0),
            Run(name="day 2 recheck 3", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=294840.0, action="recheck", scheduled=294840.0),
            Run(name="day 4 sync", at=297000.0, scheduled=297000.0),
            Run(name="day 4 recheck 1", at=381240.0, action="recheck", scheduled=381240.0),
            Run(name="day 1 approved", at=32813.77418347646, campaigns=("veterans",), plan_age=32753.77418347646),
        ),
        events=(
            Person(
                when=During(run="day 1 by hand", call="meta", nth=2, after=True), deed=Deed.PAUSE_AD, target="Alder 1"
            ),
            Operator(when=At(seconds=172800.0), change=Change.TOKEN, value="alive"),
            Operator(when=At(seconds=103351.6), change=Change.DEMAND, value="OH SC TX", campaign="veterans"),
        ),
        calm=172800.0,
    ),
    "An ad that ran for seconds only, from just after the plan's read on": Story(
        seed=8002178,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="FL GA TX",
                    adsets=(
                        AdSetSpec(
                            name="Alder", states="CA FL GA NY TX", ads=(AdSpec(name="Alder 2"),), learning="LEARNING"
                        ),
                        AdSetSpec(
                            name="Birch",
                            states="CA NY OH SC",
                            ads=(
                                AdSpec(
                                    name="Birch 1",
                                    status="PAUSED",
                                    fate=Fate(seconds=1.0, effect=Effect.PAUSED_SILENTLY),
                                ),
                            ),
                        ),
                    ),
                ),
                CampaignSpec(
                    slug="truckers",
                    account="act_111",
                    demand="AL FL SC",
                    adsets=(AdSetSpec(name="Elder", states="FL SC TX", ads=(), learning="FAIL"),),
                ),
            ),
            pace=0.1,
        ),
        runs=(
            Run(name="day 1 sync", at=37800.0, scheduled=37800.0),
            Run(name="day 1 hour 6", at=59400.0, scheduled=59400.0),
            Run(name="day 1 hour 15", at=91800.0, scheduled=91800.0),
            Run(name="day 1 recheck 1", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 hour 4", at=138600.0, scheduled=138600.0),
            Run(name="day 2 hour 12", at=167400.0, scheduled=167400.0),
            Run(name="day 2 hour 15", at=178200.0, scheduled=178200.0),
            Run(name="day 2 hour 16", at=181800.0, scheduled=181800.0),
            Run(name="day 2 hour 20", at=196200.0, scheduled=196200.0),
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 hour 2", at=217800.0, scheduled=217800.0),
            Run(name="day 3 hour 4", at=225000.0, scheduled=225000.0),
            Run(name="day 3 hour 5", at=228600.0, scheduled=228600.0),
            Run(name="day 3 hour 11", at=250200.0, scheduled=250200.0),
            Run(name="day 3 hour 17", at=271800.0, scheduled=271800.0),
            Run(name="day 3 hour 20", at=282600.0, scheduled=282600.0),
            Run(name="day 3 recheck 1", at=294840.0, action="recheck", scheduled=294840.0),
        ),
        events=(
            Person(
                when=During(run="day 1 sync", call="GET ads", nth=2, after=True),
                deed=Deed.SWITCH_ON_AD,
                target="Birch 1",
            ),
            Operator(when=At(seconds=86400.0), change=Change.TOKEN, value="alive"),
        ),
        calm=86400.0,
    ),
    "An ad set copied in a Meta campaign that is no longer followed": Story(
        seed=8005300,
        world=World(
            campaigns=(
                CampaignSpec(
                    slug="veterans",
                    account="act_111",
                    demand="AL NY TX",
                    adsets=(AdSetSpec(name="Alder", states="AL CA FL SC TX", ads=(), learning="FAIL"),),
                    meta_campaigns=2,
                ),
            )
        ),
        runs=(
            Run(name="day 1 recheck 2", at=122040.0, action="recheck", scheduled=122040.0),
            Run(name="day 2 sync", at=124200.0, scheduled=124200.0),
            Run(name="day 2 recheck 1", at=208440.0, action="recheck", scheduled=208440.0),
            Run(name="day 3 sync", at=210600.0, scheduled=210600.0),
            Run(name="day 3 recheck 1", at=294840.0, action="recheck", scheduled=294840.0),
        ),
        events=(
            Operator(when=At(seconds=37868.1), change=Change.FOLLOWED, value="1", campaign="veterans"),
            Person(when=At(seconds=49188.6), deed=Deed.COPY_ADSET, target="Alder", value="Alder copy 1"),
        ),
        calm=86400.0,
    ),
}
