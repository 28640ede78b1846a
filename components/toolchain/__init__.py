"""What the build lines of the samples call."""
