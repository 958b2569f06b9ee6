"""AWS in memory: boto3-compatible clients for DynamoDB, SSM and SES, without HTTP or threads."""

from sandbox.memory_aws.aws import MemoryAws

__all__ = ["MemoryAws"]
