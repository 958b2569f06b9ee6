"""The tests in which AWS matters once more, with real clients of boto3 against moto over HTTP.

What holds for the AWS in memory, and for the product with it, holds for another that speaks AWS's protocols too.
"""
