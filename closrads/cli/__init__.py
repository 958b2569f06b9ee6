"""The command-line interface for operators, `python -m closrads`; not packaged with the Lambda function."""

VERSION = "0.2.0"
"""As in `pyproject.toml`."""
