"""The stack that gets deployed: the SAM template expanded offline, as CloudFormation will see it in each stage."""
