"""What to answer from the counts alone: candidates, features of the counts and of them, and a trained gate."""
