"""The decision: candidate answers, features of counts and candidates, and a trained gate that weighs the candidates."""
