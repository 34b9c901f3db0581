"""Every model that comes with the package, against published and exact numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp

from carkinetics.model import latex, load_model, models, predict
from carkinetics.model.library import model_files
from carkinetics.model.solve import check_values, complete_values, with_derived

NAMES = [path.stem for path in model_files()]
# Six solutions of kirouac2023 take longer than all others together.
SLOW = ("kirouac2023", "hardiansyah2019", "singh2021")  # seconds of solving each
QUICK = [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in NAMES]

# Acceptance A5-A7: the closed form at the typical values of Stein AM et al. CPT Pharmacometrics Syst Pharmacol
# 2019;8:285-295, Table 1, evaluated independently.
STEIN = {
    0: 6.15385, 1: 14.9721, 3: 88.6247, 5: 524.598, 7: 3105.26, 9.3: 24000, 10: 21476.7, 14: 11411.5, 21: 3845.05,
    28: 1373.56, 60: 168.346, 90: 146.508, 180: 109.802, 365: 60.7445,
}  # fmt: skip


@pytest.mark.parametrize("name", QUICK)
def test_a_model_file_reproduces_the_numbers_it_quotes(name):
    checks = check_values(load_model(name))
    assert len(checks), "a model file without a check proves nothing"
    assert checks["holds"].all(), checks[~checks["holds"]].to_string()


# In a dish CAR-T cells only grow; lymphocytes that were never measured leave them no room to; waves come back.
NO_DECLINE = ("carrgo2020", "kimmel2021_measured", "chaudhury2020_lotka_volterra")
# Mice are followed for two weeks; two years later less than the smallest number is left.
LAST_DAY = {"swanson2022": 28.0}


@pytest.mark.parametrize("name", QUICK)
def test_the_typical_curve_rises_falls_and_stays_positive(name):
    level = predict(load_model(name), np.linspace(0.1, LAST_DAY.get(name, 730.0), 500))  # liu2022 starts at 0
    assert np.isfinite(level).all()
    assert (level > 0).all()
    if name not in NO_DECLINE:
        assert level.iloc[0] < level.max()
        assert level.iloc[-1] < 0.05 * level.max()


@pytest.mark.parametrize("name", NAMES)
def test_a_model_says_what_it_is_for_and_what_data_can_tell(name):
    model = load_model(name)
    assert 20 < len(model.purpose) < 300
    assert len(model.identifiability) > 100
    assert (
        "weekly" in model.identifiability.lower()
        or "days 7" in model.identifiability
        or model.simulation_only
    )
    assert model.bibtex.startswith("@") or model.citation.startswith("None:")
    assert model.bibtex.count("{") == model.bibtex.count("}")
    if model.doi and model.bibtex:
        assert model.doi in model.bibtex


def test_the_list_says_what_every_model_is_for():
    table = models().set_index("name")
    assert len(table) >= 22
    assert (table["purpose"] != "").all()
    assert set(table["use"]) == {"fit", "simulation"}
    assert table.loc["kimmel2021_measured", "data"].endswith("[alc]")


@pytest.mark.parametrize("name", NAMES)
def test_every_equation_has_a_formula(name):
    model = load_model(name)
    texts = [*model.derived.values(), *(output.of for output in model.outputs.values())]
    for state in model.states:
        texts += [state.initial, state.rate, *([] if state.infused is None else [state.infused])]
    for expression in [*texts, *([model.level] if model.level is not None else [])]:
        formula = latex(expression)
        assert formula.count("{") == formula.count("}")


@pytest.mark.parametrize(("name", "tolerance"), [("stein2019", 1e-5), ("stein2019_ode", 1e-4)])
def test_stein_gives_the_reference_levels(name, tolerance):
    level = predict(load_model(name), list(STEIN))
    assert level.to_numpy() == pytest.approx(list(STEIN.values()), rel=tolerance)


def test_closed_form_equals_its_equations():
    times = np.concatenate([np.linspace(0, 30, 301), np.linspace(31, 365, 50)])
    closed, solved = (predict(load_model(name), times) for name in ("stein2019", "stein2019_ode"))
    np.testing.assert_allclose(closed, solved, rtol=1e-6)


@settings(deadline=None, max_examples=20)
@given(
    foldx=st.floats(10, 1e5), tmax=st.floats(4, 25), cmax=st.floats(10, 1e6), alpha=st.floats(0.05, 1),
    fb=st.floats(1e-4, 0.3), beta=st.floats(1e-4, 0.04),
)  # fmt: skip
def test_closed_form_equals_its_equations_for_any_parameters(**values):
    times = np.array([0.5, 3, 7, 10, 14, 21, 28, 60, 180])
    closed, solved = (predict(load_model(name), times, **values) for name in ("stein2019", "stein2019_ode"))
    np.testing.assert_allclose(closed, solved, rtol=1e-6)


def test_ogasawara_gives_the_reference_levels():
    # Acceptance A14: Stein's fold, peak and share with the lag and half-lives of liso-cel.
    values = {"foldx": 3900, "cmax": 24000, "fb": 0.0079, "alpha": np.log(2) / 5, "beta": np.log(2) / 352}
    level = predict(load_model("ogasawara2021"), [3.27, 6, 9.29, 28], tlag=3.27, tmax=9.29, **values)
    assert level.to_numpy() == pytest.approx([6.15385, 261.609, 24000, 1962.30], rel=1e-5)


def test_ogasawara_gives_the_published_rates():
    # Acceptance A13: half-lives 5.00 and 352 d, doubling time 0.755 d.
    known = with_derived(load_model("ogasawara2021"), complete_values(load_model("ogasawara2021"), {}))
    assert known["alpha"] == pytest.approx(0.138629, abs=1e-6)
    assert known["beta"] == pytest.approx(0.00196917, abs=1e-8)
    assert known["rho"] == pytest.approx(0.918076, abs=1e-6)


def test_the_lag_is_flat_and_ends_before_the_peak_whatever_is_asked():
    model = load_model("ogasawara2021")
    assert predict(model, [0, 1, 3.27]).nunique() == 1
    assert np.isfinite(predict(model, np.linspace(0, 60, 200), tlag=40.0)).all()


def test_comedication_changes_the_peak_by_the_growth_it_adds():
    model, plain = load_model("stein2019_comedication"), load_model("stein2019")
    times = np.linspace(0, 100, 301)
    np.testing.assert_allclose(predict(model, times), predict(plain, times), rtol=1e-12)
    rho = np.log(3900) / 9.3
    # Tocilizumab on day 5 with factor 1.2 adds 0.2 rho over the 4.3 days until the peak.
    peak = predict(model, [9.3], t_toci=5.0).iloc[0]
    assert peak == pytest.approx(24000 * np.exp(0.2 * rho * 4.3), rel=1e-12)
    both = predict(model, [9.3], t_toci=5.0, t_ster=7.0, f_ster=0.8).iloc[0]
    assert both == pytest.approx(24000 * np.exp(rho * (0.2 * 2 + (1.2 * 0.8 - 1) * 2.3)), rel=1e-12)
    # Premedication before the infusion acts from the infusion on and adds nothing before it.
    early = predict(model, [0.0, 9.3], t_toci=-5.0)
    assert early.to_list() == pytest.approx([24000 / 3900, 24000 * np.exp(0.2 * rho * 9.3)], rel=1e-12)
    after = predict(model, times, t_toci=9.3)
    np.testing.assert_allclose(after, predict(plain, times), rtol=1e-12)


def test_smooth_gate_is_its_own_differential_equation():
    # Two populations expand together until a logistic gate closes and decline at their own rates.
    model = load_model("smooth_gate")
    p = {name: entry.typical for name, entry in model.parameters.items()}
    rho = np.log(p["foldx"]) / p["tgate"]
    r0 = p["cgate"] / p["foldx"]

    def rates(t, y):
        closed = 1 / (1 + np.exp(-(t - p["tgate"]) / p["w"]))
        return [
            (rho * (1 - closed) - p["alpha"] * closed) * y[0],
            (rho * (1 - closed) - p["beta"] * closed) * y[1],
        ]

    times = np.linspace(0.1, 60, 50)
    start = [(1 - p["fb"]) * r0, p["fb"] * r0]
    solved = solve_ivp(rates, (0, 60), start, t_eval=times, rtol=1e-10, atol=1e-10).y.sum(axis=0)
    np.testing.assert_allclose(predict(model, times), solved, rtol=1e-6)


def test_smooth_gate_with_a_narrow_gate_is_the_hard_switch():
    times = np.array([1, 5, 8, 12, 28, 90.0])
    narrow = predict(load_model("smooth_gate"), times, w=0.005)
    np.testing.assert_allclose(narrow, predict(load_model("stein2019"), times), rtol=1e-3)


def test_liu_without_a_distribution_phase_is_stein():
    times = np.linspace(0.01, 120, 200)
    r0 = 24000 / 3900
    liu = predict(load_model("liu2021"), times, td=1e-9, c0=r0)
    np.testing.assert_allclose(liu, predict(load_model("stein2019"), times), rtol=1e-6)


def test_liu_area_of_the_distribution_phase_follows_the_formula():
    model = load_model("liu2021")
    area, _ = quad(lambda t: float(predict(model, [t]).iloc[0]), 0, 1.5, epsabs=1e-9)
    assert area == pytest.approx(200 * (1 - np.exp(-2.0 * 1.5)) / 2.0, rel=1e-8)


def test_a_memory_form_alone_and_a_tumour_alone_follow_their_exact_solutions():
    # Without tumour nothing expands, and effector and memory cells are a chain of two linear equations.
    model = load_model("effector_memory_tumour")
    times = np.array([0.0, 3, 10, 40, 200])
    p = {name: entry.typical for name, entry in model.parameters.items()}
    out, rm, dm = p["de"] + p["rm"], p["rm"], p["dm"]
    share = rm / (out - dm)
    chain = (1 - share) * np.exp(-out * times) + (p["m0"] + share) * np.exp(-dm * times)
    np.testing.assert_allclose(predict(model, times, size0=1e-14), 100 * chain, rtol=1e-6)
    # Without killing the tumour grows logistically.
    logistic = p["K"] / (1 + (p["K"] - 1) * np.exp(-p["g"] * times))
    np.testing.assert_allclose(predict(model, times, output="tumour", kill=1e-14), logistic, rtol=1e-7)


def test_leukaemia_without_cells_grows_logistically():
    model = load_model("liu2022")
    times = np.array([0.0, 5, 30])
    cells = 2939 / (1 + (2939 / 2200 - 1) * np.exp(-0.069 * times))
    blasts = predict(model, times, output="blasts", ntn0=1e-20)
    np.testing.assert_allclose(blasts, 97.19 * cells / (cells + 1909), rtol=1e-7)


def test_the_list_of_models_has_a_citation_for_each():
    table = models()
    assert set(table["name"]) == set(NAMES)
    assert (table["citation"].str.len() > 20).all()
