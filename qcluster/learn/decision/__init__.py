"""Training of the decision: ideal outputs and noise to draw from, the table of candidates, training, and scores."""
