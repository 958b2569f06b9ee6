"""`python -m closrads`: the operator's commands."""

from closrads.cli.app import app

if __name__ == "__main__":
    app(prog_name="python -m closrads")
