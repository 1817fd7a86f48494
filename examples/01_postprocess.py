"""Mitigate counts that you already have, and see when mitigation leaves counts alone.

Run: python examples/01_postprocess.py
"""

import qcluster as qc

GHZ = {"00000": 1905, "00001": 20, "00010": 41, "00011": 5, "00100": 16, "00110": 1, "00111": 3, "01000": 15,
       "01010": 1, "01101": 2, "01110": 1, "01111": 52, "10000": 24, "10011": 1, "10101": 2, "10111": 27, "11000": 4,
       "11011": 16, "11100": 4, "11101": 55, "11110": 25, "11111": 1876}  # fmt: skip
"""A GHZ state of five qubits on FakeTorino: two strings, and strings with a few flipped bits."""

COIN = {"00": 1037, "01": 1011, "10": 1022, "11": 1026}
"""Two fair coins. All strings are correct, so there is nothing to mitigate."""


def main() -> None:
    """Mitigate both sets of counts; print whether mitigation was applied, and why."""
    for name, counts, observable in (("GHZ", GHZ, "ZIIIZ"), ("coin", COIN, "ZZ")):
        fixed = qc.mitigate(counts)
        print(f"{name}: {'applied' if fixed.applied else 'not applied'}, {fixed.reason}")
        for string, probability in fixed.distribution.top(4).items():
            print(f"  {string}  raw {fixed.raw.get(string, 0.0):.3f}  mitigated {probability:.3f}")
        for state, distribution in (("raw", fixed.raw), ("mitigated", fixed.distribution)):
            value, error = distribution.expectation(observable)
            print(f"  <{observable}> {state:9} {value:+.3f} +- {error:.3f}")


if __name__ == "__main__":
    main()
