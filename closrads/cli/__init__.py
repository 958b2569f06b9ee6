"""The command-line interface for operators, `python -m closrads`; not packaged with the Lambda function."""
