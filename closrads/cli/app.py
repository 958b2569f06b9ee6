"""The commands: their names, parameters and help texts.

Each command imports its implementation when it is called: loading boto3 and Meta's SDK would delay help and completion.
"""

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from typer._completion_classes import completion_init

from closrads.cli import VERSION, completion
from closrads.cli.terminal import PROGRAM, report_errors

EXIT_STATUS = "Exit status: 0 success; 1 failure, or you declined; 2 invalid usage; 130 stopped by Ctrl-C."
app = typer.Typer(
    help=f"Set up and operate CLOSRADS, with this shell's AWS credentials and Region.\n\n{EXIT_STATUS}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # `report_errors` handles exceptions, and redacts secrets
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,  # typer's own requires a program in PATH, which `python -m` is not
    epilog="More, with examples: docs/commands.md.",
)
completion_init()


class WebhookAction(StrEnum):
    """What to do with Meta's subscriptions."""

    SUBSCRIBE = "subscribe"
    STATUS = "status"


class ConfigAction(StrEnum):
    """What to do with the stored parameters."""

    SHOW = "show"


FLAG = ""
"""The metavar of an option without a value."""
Stage = Annotated[
    str,
    typer.Option(
        envvar="CLOSRADS_STAGE",
        help="The stage whose parameters, ledger and stack to use.",
        autocompletion=completion.stages,
    ),
]
Json = Annotated[bool, typer.Option("--json", metavar=FLAG, help="Print JSON instead of tables.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", metavar=FLAG, help="Do not ask; for scripts.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", metavar=FLAG, help="Show the log lines as they come, on standard error.")
]
Campaign = Annotated[
    str | None,
    typer.Option("--campaign", "-c", metavar="SLUG", help="Only this campaign.", autocompletion=completion.campaigns),
]


OneCampaign = Annotated[
    str | None,
    typer.Argument(
        metavar="CAMPAIGN", help="The campaign's slug; without it, everything.", autocompletion=completion.campaigns
    ),
]


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day such as 2026-11-17") from None


def _examples(*lines: str) -> str:
    return "\n\n".join(("Examples:", *(f"  {PROGRAM} {line}" for line in lines), EXIT_STATUS))


def _show_version(is_asked: bool) -> None:  # noqa: FBT001 - the option's value
    if is_asked:
        print(f"closrads {VERSION}")  # noqa: T201 - nothing else
        raise typer.Exit


@app.callback()
def common(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", metavar=FLAG, is_eager=True, callback=_show_version, help="Print the version."),
    ] = False,
) -> None:
    """Process the options before a command."""


@app.command("push-config", epilog=_examples("push-config old.env --stage prod", "push-config closrads.toml --dry-run"))
def push_config(  # noqa: PLR0913 - its options
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A TOML file, or the .env of the old script.")],
    stage: Stage = completion.DEFAULT_STAGE,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", metavar=FLAG, help="Show what would change, and change nothing.")
    ] = False,
    kms_key: Annotated[
        str, typer.Option(metavar="ARN", help="Store every secret in FILE again, under this KMS key of yours.")
    ] = "",
    yes: Yes = False,
    to_json: Json = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", metavar=FLAG, help="Also name the parameters that are not in FILE and stay as they are."
        ),
    ] = False,
) -> None:
    """Store the parameters in FILE. Others stay as they are; running it again changes nothing."""
    with report_errors():
        from closrads.cli import parameters

        status = parameters.push_config(
            file, stage, dry_run=dry_run, kms_key=kms_key, yes=yes, to_json=to_json, verbose=verbose
        )
        raise typer.Exit(status)


@app.command("pull-config", epilog=_examples("pull-config", "pull-config closrads.toml --stage prod"))
def pull_config(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The file to write; without it, the text is printed.")
    ] = None,
    stage: Stage = completion.DEFAULT_STAGE,
    *,
    to_json: Json = False,
) -> None:
    """Show what is stored for a stage, or write it to FILE. Secrets are ***, which push-config leaves as they are."""
    with report_errors():
        from closrads.cli import parameters

        parameters.pull_config(stage, file, to_json=to_json)


@app.command(epilog=_examples("config show", "config show --stage dev --json"))
def config(
    action: Annotated[ConfigAction, typer.Argument(metavar="show", help="What to do.")],  # noqa: ARG001 - the only one
    stage: Stage = completion.DEFAULT_STAGE,
    *,
    to_json: Json = False,
) -> None:
    """Show what is stored for a stage, with *** for secrets."""
    with report_errors():
        from closrads.cli import parameters

        parameters.pull_config(stage, None, to_json=to_json)


@app.command(epilog=_examples("doctor", "doctor --stage dev --json"))
def doctor(stage: Stage = completion.DEFAULT_STAGE, *, to_json: Json = False) -> None:
    """Check everything that a run needs, and say what to do about each problem. Only reads.

    A failed check makes the exit status 1; a warning does not.
    """
    with report_errors():
        from closrads.cli.doctor.command import doctor as examine

        raise typer.Exit(examine(stage, to_json=to_json))


@app.command(
    epilog=_examples(
        "run dry-run",
        "run events/resync-one-campaign.json",
        """run '{"dry_run": false, "campaigns": \\["veterans"]}' --yes""",
        "run live --plan 0a1b2c3d4e5f6789",
    )
)
def run(  # noqa: PLR0913 - a command's options
    event: Annotated[
        str,
        typer.Argument(
            metavar="EVENT|FILE",
            help="The event as JSON, a file with one, or the bare name of a file in events/.",
            autocompletion=completion.events,
        ),
    ],
    stage: Stage = completion.DEFAULT_STAGE,
    *,
    plan: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Carry out exactly the dry run's plan with this id, or nothing if it has changed."
        ),
    ] = None,
    mail: Annotated[bool, typer.Option("--mail", metavar=FLAG, help="Also email the report of a dry run.")] = False,
    yes: Yes = False,
    to_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Run the function on this machine, not in Lambda. A live sync shows its plan, asks, and carries out exactly that.

    The log goes to a file in build/log. Exit status 1 if the run failed, 2 if the event is invalid.
    """
    with report_errors():
        from closrads.cli import runs

        options = runs.RunOptions(yes=yes, to_json=to_json, verbose=verbose, mail=mail)
        raise typer.Exit(runs.run(event, stage, options, plan_id=plan))


@app.command(
    epilog=_examples(
        "history",
        "history --day 2026-11-17",
        "history --run 20261117T113000Z-0a1b2c3d",
        "history --campaign veterans --limit 3",
    )
)
def history(  # noqa: PLR0913 - a command's options
    campaign: Campaign = None,
    run_id: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="Only this run, with each ad set's change.")
    ] = None,
    day: Annotated[
        date | None,
        typer.Option(parser=_day, metavar="YYYY-MM-DD", help="Only this day, in the stage's time zone."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many runs.")] = 20,
    stage: Stage = completion.DEFAULT_STAGE,
    *,
    to_json: Json = False,
) -> None:
    """Show what each live run did, newest first; with --run or --campaign, also each ad set's change."""
    with report_errors():
        from closrads.cli.history import history as look_back

        look_back(stage, slug=campaign, run_id=run_id, day=day, limit=limit, to_json=to_json)


@app.command(epilog=_examples("logs 20261117T113000Z-0a1b2c3d", "logs --follow"))
def logs(
    run_id: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="The id of a live or dry run; without it, the newest live run."),
    ] = None,
    stage: Stage = completion.DEFAULT_STAGE,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", metavar=FLAG, help="Show the lines as they come, until the run ends.")
    ] = False,
    to_json: Json = False,
) -> None:
    """Show what the function logged during one run, from CloudWatch. The log of a manual run is in a file."""
    with report_errors():
        from closrads.cli.logs import logs as read

        read(stage, run_id, follow=follow, to_json=to_json)


@app.command(epilog=_examples("undo 20261117T113000Z-0a1b2c3d", "undo 20261117T113000Z-0a1b2c3d --campaign veterans"))
def undo(  # noqa: PLR0913 - a command's options
    run_id: Annotated[
        str, typer.Argument(metavar="RUN", help="The run's id, from the end of its report or from history.")
    ],
    campaign: Annotated[
        list[str] | None,
        typer.Option(
            "--campaign",
            "-c",
            metavar="SLUG",
            help="Only this campaign; repeat it for more.",
            autocompletion=completion.campaigns,
        ),
    ] = None,
    stage: Stage = completion.DEFAULT_STAGE,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", metavar=FLAG, help="Show what it would do, and do nothing.")
    ] = False,
    yes: Yes = False,
    to_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Restore what a live run changed. Shows it first, then asks; leaves alone what has changed since."""
    with report_errors():
        from closrads.cli import runs

        options = runs.RunOptions(yes=yes, to_json=to_json, verbose=verbose)
        raise typer.Exit(runs.undo(run_id, campaign or (), stage, options, dry_run=dry_run))


@app.command(epilog=_examples("pause", "pause veterans --stage prod"))
def pause(campaign: OneCampaign = None, stage: Stage = completion.DEFAULT_STAGE) -> None:
    """Start nothing new, in the whole stage or in one campaign; names the active runs and when they stop.

    Recovery, rollbacks, rechecks and reports continue.
    """
    with report_errors():
        from closrads.cli import switches

        switches.pause(campaign, stage)


@app.command(epilog=_examples("resume", "resume veterans --stage prod"))
def resume(campaign: OneCampaign = None, stage: Stage = completion.DEFAULT_STAGE) -> None:
    """Undo a pause: the next run continues. Does not start a run."""
    with report_errors():
        from closrads.cli import switches

        switches.resume(campaign, stage)


@app.command(epilog=_examples("webhook status", "webhook subscribe --stage prod"))
def webhook(
    action: Annotated[WebhookAction, typer.Argument(metavar="subscribe|status", help="What to do.")],
    stage: Stage = completion.DEFAULT_STAGE,
    *,
    yes: Yes = False,
    to_json: Json = False,
) -> None:
    """Have Meta push what changes in the ad accounts, or show what is subscribed. Requires Webhook to be on.

    Prompts for the app token, or takes it from CLOSRADS_APP_TOKEN. Exit status 1 if something is not subscribed.
    """
    with report_errors():
        from closrads.cli import webhook as subscriptions

        subscribes = action is WebhookAction.SUBSCRIBE
        raise typer.Exit(subscriptions.webhook(stage, subscribes=subscribes, yes=yes, to_json=to_json))


@app.command("completion", epilog=_examples("completion bash"))
def print_completion(
    shell: Annotated[
        completion.Shell, typer.Argument(metavar="SHELL", help="The shell to print it for.")
    ] = completion.Shell.BASH,
) -> None:
    """Print shell code that defines the short command closrads, with completion.

    In ~/.bashrc: eval "$(cd FOLDER && .venv/bin/python -m closrads completion bash)"

    In ~/.config/fish/config.fish: PYTHONPATH=FOLDER FOLDER/.venv/bin/python -m closrads completion fish | source
    """
    print(completion.script(shell), end="")  # noqa: T201 - for the shell
