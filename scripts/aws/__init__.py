"""The implementation of the commands for AWS."""
