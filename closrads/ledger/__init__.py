"""What must outlive an invocation, in one DynamoDB table."""
