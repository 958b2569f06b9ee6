"""The commands, put together."""

import typer

from closrads.cli.parameters import pull_config, push_config

app = typer.Typer(
    help="Sets CLOSRADS up and looks after it, with this shell's AWS credentials.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # they hold secrets
)
app.command("push-config")(push_config)
app.command("pull-config")(pull_config)
