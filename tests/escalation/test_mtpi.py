"""mTPI, mTPI-2, keyboard and i3+3: published tables, and what must hold for any counts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carkinetics.errors import ConfigError
from carkinetics.escalation import Boin, I3Plus3, Keyboard, Mtpi, Mtpi2
from carkinetics.escalation.cohort import Tally
from carkinetics.escalation.interval import overdose_probability
from carkinetics.escalation.mtpi import equal_keys

DESIGNS = [Boin, Mtpi, Mtpi2, Keyboard, I3Plus3]
DOWNWARDS = ["E", "S", "D", "DU"]


def row(design: Any, n: int) -> str:
    return " ".join(design.letter(n, dlt) for dlt in range(n + 1))


# Target 0.30, interval 0.25 to 0.35. mTPI-2: Guo W et al. Contemp Clin Trials 2017;58:23-33, Figure 3 (n = 3, 6, 9, 10
# as R package escalation tests them). mTPI: Ji Y et al. Clin Trials 2010;7:653-663, Figure 2 (n = 12, 30 likewise). i3+3: Liu M et al. J
# Biopharm Stat 2020;30:294-304, without its safety rule.
@pytest.mark.parametrize(
    ("design", "rows"),
    [
        (
            Mtpi2(5, target=0.30),
            {
                1: "E D",
                2: "E D DU",
                3: "E S D DU",
                6: "E E S D DU DU DU",
                9: "E E E S D DU DU DU DU DU",
                10: "E E E S D D DU DU DU DU DU",
            },
        ),
        (
            Mtpi(5, target=0.30),
            {
                1: "E D",
                2: "E S DU",
                3: "E S D DU",
                6: "E E S S DU DU DU",
                9: "E E S S S DU DU DU DU DU",
                12: "E E E S S S D DU DU DU DU DU DU",
                30: " ".join(["E"] * 7 + ["S"] * 7 + ["DU"] * 17),
            },
        ),
        (
            I3Plus3(5, target=0.30, cutoff=None),
            {1: "E S", 2: "E S D", 3: "E S D D", 6: "E E S D D D D", 9: "E E E S D D D D D D"},
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_letters_are_the_published_ones(design: Any, rows: dict[int, str]):
    assert {n: row(design, n) for n in rows} == rows


def test_beta_binomial_safety_is_the_closed_form():
    # Beta(1 + x, 1 + n - x) above p for x = n: 1 - p^(n + 1); one less: by the binomial sum.
    assert overdose_probability(3, 2, 0.30) == pytest.approx(0.91630000, abs=1e-12)
    assert overdose_probability(3, 3, 0.30) == pytest.approx(1 - 0.3**4, abs=1e-12)
    assert overdose_probability(3, 2, 0.25) == pytest.approx(0.94921875, abs=1e-12)


@given(n=st.integers(3, 60), target=st.sampled_from([0.2, 0.25, 0.3, 0.35, 0.4]), data=st.data())
def test_keyboard_and_mtpi2_agree_as_a_posterior_has_one_peak(n: int, target: float, data: st.DataObject):
    dlt = data.draw(st.integers(0, n))
    assert Keyboard(5, target=target).letter(n, dlt) == Mtpi2(5, target=target).letter(n, dlt)


@pytest.mark.parametrize("kind", DESIGNS)
@given(target=st.floats(0.16, 0.5), n=st.integers(1, 40))
def test_more_dlts_never_lead_to_a_higher_dose(kind: Any, target: float, n: int):
    design = kind(5, target=target)
    order = [DOWNWARDS.index(design.letter(n, dlt)) for dlt in range(n + 1)]
    assert order == sorted(order)


@pytest.mark.parametrize("kind", DESIGNS)
@given(
    n=st.lists(st.integers(0, 12), min_size=4, max_size=4),
    share=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    current=st.integers(1, 4),
)
def test_decisions_do_not_depend_on_the_sizes_of_doses(
    kind: Any, n: list[int], share: list[float], current: int
):
    n[current - 1] += 1
    dlt = tuple(round(s * count) for s, count in zip(share, n, strict=True))
    tally = Tally(tuple(n), dlt, (0,) * 4, current)
    by_number = kind(4, target=0.30).rule(tally)
    by_size = kind([0.1, 0.3, 1.0, 2.0], target=0.30).rule(tally)
    assert (by_number.action, by_number.level, by_number.n, by_number.closed, by_number.mtd_level) == (
        by_size.action,
        by_size.level,
        by_size.n,
        by_size.closed,
        by_size.mtd_level,
    )
    # and a dose that is closed is not given, nor one above it
    assert by_number.level not in by_number.closed


@pytest.mark.parametrize("kind", DESIGNS)
@given(n=st.integers(3, 30), target=st.floats(0.16, 0.5))
def test_a_dose_stays_dropped_with_one_more_dlt_and_patient(kind: Any, n: int, target: float):
    design = kind(5, target=target)
    for dlt in range(n + 1):
        if design.letter(n, dlt) == "DU":
            assert design.letter(n + 1, dlt + 1) == "DU"


def test_limits_that_floating_point_puts_beside_themselves_count():
    # 0.1 + 0.05 is 0.15000000000000002, and 3 of 20 is on the limit.
    assert I3Plus3(5, target=0.10, cutoff=None).letter(20, 3) == "S"
    assert equal_keys(0.25, 0.35)[0] == (0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95)
    assert equal_keys(0.1, 0.2) == ((0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0), 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Mtpi(5, target=0.03), "interval -0.02 to 0.08.*give interval="),
        (lambda: Mtpi2(5, target=0.3, interval=(0.35, 0.4)), "0 < low < target < high < 1"),
        (lambda: Mtpi2(5, target=0.3, interval=0.05), "expected \\(low, high\\)"),
        (lambda: Mtpi2(5, target=0.3, interval=(0.2, 1.4)), "from 0 to 1"),
        (lambda: Keyboard(5, target=0.1), "no key of that width fits below"),
        (lambda: Keyboard(5, target=0.85, interval=(0.8, 0.95)), "no key of that width fits above"),
        (lambda: I3Plus3(5, target=0.3, cutoff=1.5), "cutoff"),
        (lambda: I3Plus3(5, target=0.3, least=0), "least is 0"),
        (lambda: I3Plus3([2, 1], target=0.3), "increasing doses"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, words: str):
    with pytest.raises(ConfigError, match=words):
        make()
