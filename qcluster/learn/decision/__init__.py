"""How the decision is trained: ideals and noise to draw from, the table of candidates, the training, the scores."""
