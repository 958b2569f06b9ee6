"""`python -m closrads`, or `closrads` where it is installed: the command-line interface for operators."""

import os
import sys


def main() -> None:
    """Carry out the command of this process's arguments."""
    if os.environ.get("NO_COLOR"):
        os.environ["_TYPER_FORCE_DISABLE_TERMINAL"] = "1"  # otherwise, typer's help would still be bold
    try:
        from closrads.cli.app import app  # noqa: PLC0415 - after the environment has been set
        from closrads.cli.completion import VARIABLE  # noqa: PLC0415
        from closrads.cli.process import adopt_region, show_in_any_encoding  # noqa: PLC0415
        from closrads.cli.terminal import PROGRAM  # noqa: PLC0415
    except ModuleNotFoundError as error:
        sys.exit(f"This Python has no {error.name}: run `make cli`, then call .venv/bin/python -m closrads")
    adopt_region(os.environ)
    show_in_any_encoding(sys.stdout, sys.stderr)
    app(prog_name=PROGRAM, complete_var=VARIABLE)


if __name__ == "__main__":
    main()
