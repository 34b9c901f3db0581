"""The implicit solver on two published stiff models: numbers, SciPy as the second road, and derivatives."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from kernel_checks import TIMES, check_derivatives, check_tolerance, drawn, run

from carkinetics.model import load_model, predict
from carkinetics.model.library import model_from_text

HERE = Path(__file__).parent / "stiff"
UPN1 = {
    "B0": 4.14, "rE": 16.16, "dE": 23.04, "aE": 0.024, "KBC": 0.19, "PIL6": 1.8e-3, "PIL10": 7e-4, "PIFN": 3e-4
}  # fmt: skip


@pytest.mark.parametrize(
    ("dose", "values", "peak"),
    [(0.014, {}, 51), (1.1, UPN1, 2108)],
    ids=["UPN3", "UPN1"],
)
def test_the_interleukin_peaks_of_two_patients(dose, values, peak):
    """Baselines of 5 pg/mL give 51 and 2,108 pg/mL with an independent solver."""
    model = load_model(HERE / "hardiansyah2019.toml")
    split = [(day, share * dose) for day, share in enumerate((0.1, 0.3, 0.6))]
    level = predict(model, np.linspace(0.01, 60, 3000), output="il6", infusions=split, **values)
    assert level.max() == pytest.approx(peak, abs=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hardiansyah2019", "singh2021"])
def test_compiled_predictions_of_stiff_models_are_those_of_scipy(name):
    model = load_model(HERE / f"{name}.toml")
    theta = np.array(
        [model.parameters[n].to_free(model.parameters[n].typical) for n in model.free_parameters]
    )
    for number, output in enumerate(model.outputs):
        code, log_level, _ = run(model, theta, 1e-7, output=number)
        assert code >= 0
        np.testing.assert_allclose(np.exp(log_level), predict(model, TIMES, output=output), rtol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["hardiansyah2019", "singh2021"])
def test_derivatives_of_stiff_models_are_those_of_differences(name, seed):
    model = load_model(HERE / f"{name}.toml")
    assert run(model, drawn(model, seed), 1e-11)[0] > 0  # or nothing would be compared
    check_derivatives(model, seed)
    check_tolerance(model, seed)


def test_binding_is_at_equilibrium_where_dissociation_is_fast():
    """The reduction that removes the stiffness: complexes by the law of mass action, cells and tumour as solved."""
    model = load_model(HERE / "singh2021.toml")
    text = (HERE / "singh2021.toml").read_text(encoding="utf-8")
    start, end = text.index("[states.bound]"), text.index("[states.tumour]")
    reduced = text[:start] + text[end:].replace("stiff = true", "stiff = false")
    both = "(receptors + antigens + koff / kon)"
    reduced = reduced.replace(
        "[states.blood_effector]",
        f'bound = "0.5 * ({both} - sqrt({both} * {both} - 4 * receptors * antigens))"\n\n[states.blood_effector]',
    )
    quick = model_from_text(reduced)
    times = [3, 7, 10, 14, 20, 30]
    for output in ("car", "tumour"):
        np.testing.assert_allclose(
            predict(quick, times, output=output), predict(model, times, output=output), rtol=0.05
        )
