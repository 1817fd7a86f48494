"""The suite ``broad``: what each program computes, beside what its circuit outputs."""

from itertools import pairwise
from math import comb, cos, pi, sin

import pytest

from benchmarks.outside_circuits import FAMILIES as OUTSIDE
from qcluster.bench import rate_plan
from qcluster.bench.circuits import FAMILIES, PAPER, SUITES, dynamics, make_case, programs, suite
from qcluster.learn.decision import ideals


def table(spec):
    return make_case(spec).ideal.to_probs()


def whole(text, *ends):
    """The numbers that a string holds, between bit positions: bit 0 is the last character."""
    return [int(text[::-1][a:b][::-1], 2) for a, b in pairwise(ends)]


def near(found, wanted):
    assert {key for key, p in found.items() if p > 1e-9} == {key for key, p in wanted.items() if p > 1e-9}
    assert all(found[key] == pytest.approx(p, abs=1e-9) for key, p in wanted.items() if p > 1e-9)


def test_nothing_is_trained_on_these_families():
    own = {case.family for case in suite("broad")}
    assert own == {name for name, make in FAMILIES.items() if make.__module__.endswith(("programs", "dynamics"))}
    assert {make.__module__.rsplit(".", 1)[-1] for make in map(FAMILIES.get, own)} == {"programs", "dynamics"}
    assert (programs.__name__, dynamics.__name__) == tuple(
        f"qcluster.bench.circuits.{k}" for k in ("programs", "dynamics")
    )
    others = {spec for name, specs in SUITES.items() if name != "broad" for spec in specs}
    others |= set(PAPER.values()) | set(rate_plan.CASES)
    assert not own & ({spec.split(":")[0] for spec in others} | set(OUTSIDE) | set(ideals.FAMILIES))


def test_the_suite_is_broad():
    cases = suite("broad")
    assert len(cases) >= 60
    assert len({case.family for case in cases}) >= 30
    assert max(case.n_qubits for case in cases) <= 10
    assert all(sum(other.family == case.family for other in cases) == 2 for case in cases)
    assert 0.5 < sum(case.ideal_entropy <= 0.6 for case in cases) / len(cases) < 0.9


@pytest.mark.parametrize("left", range(4))
@pytest.mark.parametrize("right", range(4))
def test_products(left, right):
    (text,) = table(f"multiplier:2:left={left},right={right}")
    assert whole(text, 0, 2, 4, 8) == [left, right, left * right]


@pytest.mark.parametrize("bound", range(8))
def test_comparisons(bound):
    found = [whole(text, 0, 3, 4) for text in table(f"comparator:3:bound={bound},superposed=3")]
    assert sorted(found) == [[value, int(value < bound)] for value in range(8)]


@pytest.mark.parametrize("n", [2, 3, 4])
def test_ones_are_counted(n):
    for text in table(f"hamming_weight:{n}"):
        value, ones = whole(text, 0, n, n + n.bit_length())
        assert ones == value.bit_count()
    for value in range(1 << n):
        (text,) = table(f"weight_phase:{n}:value={value}")
        assert whole(text, 0, n, n + n.bit_length()) == [value, value.bit_count()]


def test_registers_count_up():
    near(table("incrementer:4:steps=5"), {"0101": 0.5, "0110": 0.5})


def test_memories_and_oracles_answer_at_every_address():
    near(table("bucket_brigade:2:data=6"), {"000": 0.25, "101": 0.25, "110": 0.25, "011": 0.25})
    near(table("bucket_brigade:1:data=2"), {"00": 0.5, "11": 0.5})
    found = table("boolean_oracle:3:seed=4")
    assert sorted(whole(text, 0, 3)[0] for text in found) == list(range(8))


@pytest.mark.parametrize("n", [3, 4, 5])
def test_hidden_subgroups_have_order_four(n):
    found = [int(text, 2) for text in table(f"hidden_subgroup:{n}:seed=3")]
    assert len(found) == 2 ** (n - 2)
    assert {a ^ b for a in found for b in found} == set(found)


def test_a_bent_function_is_its_own_transform():
    near(table("forrelation:6:cubic=0"), {"000000": 1.0})


def test_codes_tell_what_went_wrong():
    for error in range(7):
        assert {whole(text, 7, 10)[0] for text in table(f"steane:10:error={error}")} == {
            sum((error in members) << k for k, members in enumerate(((3, 4, 5, 6), (1, 2, 5, 6), (0, 2, 4, 6))))
        }
    syndromes = set()
    for error in range(9):
        found = table(f"shor_code:9:angle=0.7,error={error}")
        assert sorted(found.values()) == pytest.approx([sin(0.35) ** 2, cos(0.35) ** 2])
        syndromes |= {text[:-1] for text in found}
    assert len(syndromes) == 9


def test_protocols():
    assert list(table("superdense:8:seed=1").values()) == pytest.approx([1.0])
    near(table("swapping:8"), {"00": 0.5, "11": 0.5})
    assert set(table("key_exchange:5:seed=3").values()) <= {2.0**-k for k in range(6)}
    same = sum(p for text, p in table("purification:4:angle=0.5").items() if text[0] == text[1])
    assert same == pytest.approx(cos(0.25) ** 4 + sin(0.25) ** 4)  # both pairs right, or both wrong


def test_balls_fall_binomially():
    q = sin(0.55) ** 2
    places = {"1".rjust(2 * (2 - left) + 1, "0").ljust(5, "0"): left for left in range(3)}
    near(
        {text[::-1]: p for text, p in table("galton:2:angle=1.1").items()},
        {text: comb(2, left) * q**left * (1 - q) ** (2 - left) for text, left in places.items()},
    )


def test_loaded_probabilities():
    shares = [0.7**k for k in range(5)]
    near(table("unary_loading:5:decay=0.7"), {format(1 << k, "05b"): s / sum(shares) for k, s in enumerate(shares)})
    near(table("unequal_cat:6:angle=0.9"), {"000000": cos(0.45) ** 2, "111111": sin(0.45) ** 2})
    near(table("interferometer:5:phase=0.3"), {"00000": cos(0.75) ** 2, "00001": sin(0.75) ** 2})
    even = sum(p for text, p in table("mermin:5:angle=0.4").items() if text.count("1") % 2 == 0)
    assert even == pytest.approx(cos(1.0) ** 2)


def test_what_dynamics_conserve():
    assert not any("11" in text for text in table("blockade:6:steps=2"))
    assert {text.count("1") % 2 for text in table("matchgates:6")} == {0}
    assert {text.count("1") for text in table("valence_bonds:6")} == {3}
    up_down = {(text[1::2].count("1"), text[::2].count("1")) for text in table("hubbard:8:steps=2")}
    assert len(up_down) == 1
    for text in table("gauge_chain:7:steps=2"):
        charges, links = text[::-1][::2], text[::-1][1::2]
        assert charges.count("1") == 2
        fluxes = [sum(bit == "1" for bit in charges[: k + 1]) - [1, 1, 2][k] for k in range(3)]
        assert [int(bit) for bit in links] == [flux % 2 for flux in fluxes]
    assert {text.count("1") for text in table("state_transfer:5")} == {1}


def test_dynamics_in_their_limits():
    near(table("time_crystal:6:steps=2,defect=0.0"), {"001001": 1.0})
    near(table("time_crystal:6:steps=3,defect=0.0"), {"110110": 1.0})
    assert table("state_transfer:4:steps=40")["1000"] > 0.999
    assert max(table("annealing:5:steps=40").values()) > 0.9
    assert table("squeezing:5:strength=0.0")["1" * 5] == pytest.approx(1.0)
    assert max(table("signal_processing:3:angle=0.0,degree=2").values()) == pytest.approx(1 / 8)
    assert pi / 2 == pytest.approx(FAMILIES["galton"](1).circuit.data[1].operation.params[0])


@pytest.mark.parametrize("spec", ["multiplier:3", "steane:8", "shor_code:8", "swapping:5", "gauge_chain:4", "galton:4",
                                  "unary_loading:4:decay=0.0", "steane:7:error=9", "multiplier:2:left=4"])  # fmt: skip
def test_sizes_that_cannot_be_drawn_are_refused_in_words(spec):
    with pytest.raises(ValueError, match=r"must lie in|has 7 qubits|even number|odd number"):
        make_case(spec)
