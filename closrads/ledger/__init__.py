"""State that outlives an invocation, in one DynamoDB table."""
