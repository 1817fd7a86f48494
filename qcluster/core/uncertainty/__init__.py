"""How answers change when the shots are resampled, and the confidence intervals that follow."""
