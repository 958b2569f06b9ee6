"""`python -m closrads`: the command-line interface for operators."""

import sys

try:
    from closrads.cli.app import app
    from closrads.cli.completion import VARIABLE
except ModuleNotFoundError as error:
    sys.exit(f"This Python has no {error.name}: run `make cli`, then call .venv/bin/python -m closrads")

if __name__ == "__main__":
    app(prog_name="python -m closrads", complete_var=VARIABLE)
