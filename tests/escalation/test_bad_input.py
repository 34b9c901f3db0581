"""Whatever stands in a setting, the answer is a design that decides or a complaint that names the setting."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from carkinetics.errors import CarkineticsError, ConfigError
from carkinetics.escalation import (
    AcceleratedTitration,
    Blrm,
    BlrmPrior,
    Boin,
    Crm,
    EliminateOverdose,
    I3Plus3,
    Keyboard,
    MaxDose,
    Mtpi,
    Staggered,
    StopAfter,
    StopAtDose,
    StopForPrecision,
    ThreePlusThree,
    TiteBoin,
    TiteCrm,
    WaitForWindow,
    boin_boundaries,
    compare_designs,
    decision_table,
    dose_paths,
    operating_characteristics,
    select_mtd,
    skeleton_for,
)
from carkinetics.escalation.design import Design

INNER = Boin(3)
CRM: dict[str, Any] = {"doses": 3, "skeleton": [0.1, 0.2, 0.3]}
SETTINGS: list[tuple[Any, dict[str, Any], tuple[str, ...]]] = [
    (Boin, {"doses": 3}, ("doses", "target", "cohort_size", "start", "low", "high", "cutoff")),
    (Mtpi, {"doses": 3}, ("target", "interval", "cutoff", "least")),
    (Keyboard, {"doses": 3}, ("interval", "least")),
    (I3Plus3, {"doses": 3}, ("interval", "cutoff")),
    (ThreePlusThree, {"doses": 3, "variant": "A"}, ("doses", "variant", "start")),
    (Crm, CRM, ("doses", "skeleton", "target", "model", "prior_sd", "intercept", "no_skip", "cutoff", "start")),
    (TiteCrm, CRM, ("window",)),
    (TiteBoin, {"doses": 3}, ("window", "max_pending")),
    (Blrm, {"doses": [1.0, 2.0], "reference": 1.0},
     ("doses", "reference", "prior", "intervals", "overdose", "no_skip", "max_ratio", "least", "historical", "weight")),
    (BlrmPrior, {}, ("mean", "sd", "rho")),
    (AcceleratedTitration, {"design": INNER}, ("design", "grade2_trigger", "dlt_trigger", "last")),
    (StopAfter, {"design": INNER}, ("design", "n")),
    (StopAtDose, {"design": INNER}, ("n",)),
    (StopForPrecision, {"design": INNER}, ("interval", "probability", "least")),
    (EliminateOverdose, {"design": INNER}, ("target", "cutoff", "least")),
    (MaxDose, {"design": INNER, "level": 1}, ("level",)),
    (Staggered, {"design": INNER}, ("days",)),
    (WaitForWindow, {"design": INNER}, ("instead",)),
]  # fmt: skip
JUNK: list[Any] = [
    None, "x", "3", float("nan"), float("inf"), -1, 0, 1.5, 10**12, True, [], {}, [1, "a"], [float("nan")], [3, 2, 1], pd.NA,
    np.array([1, 2]), 1 + 2j, [[1]], {"a": "b"}, b"x", object(),
]  # fmt: skip
MEANT = {
    "cutoff": (None, 0),
    "interval": (None,),
    "grade2_trigger": (None, 10**12),
    "last": (None,),
    "max_ratio": (None, 1.5, 10**12),
}


@pytest.mark.parametrize(
    ("make", "given", "names"), SETTINGS, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_setting_is_used_or_refused(make: Any, given: dict[str, Any], names: tuple[str, ...]):
    for name in names:
        for junk in JUNK:
            try:
                made = make(**{**given, name: junk})
            except CarkineticsError:
                continue
            assert not isinstance(junk, (str, bytes, complex)) or junk in MEANT.get(name, ()), (name, junk)
            assert not (isinstance(junk, float) and not np.isfinite(junk)), (name, junk)
            assert junk is not None or name in (*MEANT, "low", "high"), (name, junk)
            if isinstance(made, Design):
                assert made.decide().action == "start"


TRUTH = [0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: operating_characteristics(INNER, TRUTH, overdose=float("nan")), "overdose is nan"),
        (lambda: operating_characteristics(INNER, TRUTH, overdose=30), "overdose is 30; expected a number"),
        (lambda: operating_characteristics(INNER, TRUTH, exact=False, seed=-1), "seed is -1"),
        (lambda: operating_characteristics(INNER, TRUTH, exact=False, seed=None), "seed is None"),  # type: ignore[arg-type]
        (lambda: operating_characteristics(INNER, TRUTH, workers=0), "workers is 0"),
        (lambda: operating_characteristics(INNER, TRUTH, accrual_days="3"), "accrual_days is '3'"),  # type: ignore[arg-type]
        (lambda: operating_characteristics(Boin, TRUTH), "expected a design such as"),  # type: ignore[arg-type]
        (lambda: dose_paths("boin", 1), "expected a design such as"),  # type: ignore[arg-type]
        (lambda: dose_paths(INNER, 1, grade2=[0.1] * 3), "grade2 is given without truth"),
        (lambda: decision_table(None), "expected a design such as"),  # type: ignore[arg-type]
        (lambda: compare_designs([INNER], {"flat": TRUTH}), "designs is .* by the name"),  # type: ignore[arg-type]
        (lambda: select_mtd([(1, 3, 0)], 3, [0.3]), "target is"),  # type: ignore[arg-type]
        (lambda: select_mtd([(1, 3, 0)], 3, 0.3, cutoff=[]), "cutoff is"),  # type: ignore[arg-type]
        (lambda: skeleton_for("0.3", 0.05, 2, 3), "target is '0.3'"),  # type: ignore[arg-type]
        (lambda: boin_boundaries(None), "target is None"),  # type: ignore[arg-type]
    ],
)
def test_an_argument_that_makes_no_sense_is_named(make: Any, part: str):
    with pytest.raises(ConfigError, match=part):
        make()


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_design_for_times_brings_its_own_window(wrapped: bool):
    design: Any = TiteBoin(3, window=56)
    found = operating_characteristics(
        StopAfter(design, n=9) if wrapped else design, TRUTH, accrual_days=20, trials=5
    )
    assert found.attrs["duration"] > 56
