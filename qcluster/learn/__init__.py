"""Learning from counts and calibrations: scikit-learn estimators."""
