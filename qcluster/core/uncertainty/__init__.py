"""How answers move when the shots are drawn anew, and the intervals that follow."""
