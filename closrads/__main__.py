"""`python -m closrads`: the operator's commands."""

from closrads.cli.app import app
from closrads.cli.completion import VARIABLE

if __name__ == "__main__":
    app(prog_name="python -m closrads", complete_var=VARIABLE)
