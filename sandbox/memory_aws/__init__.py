"""AWS in this process: DynamoDB, SSM and SES as objects that behave like boto3's clients, without HTTP or threads."""

from sandbox.memory_aws.aws import MemoryAws

__all__ = ["MemoryAws"]
