"""The reduction that removes the stiffness of binding gives what the implicit solver gives."""

import numpy as np

from carkinetics.model import load_model, predict
from carkinetics.model.library import model_from_text


def test_binding_is_at_equilibrium_where_dissociation_is_fast():
    """Complexes by the law of mass action, cells and tumour as solved."""
    model = load_model("singh2021")
    text = model.text[: model.text.index("[[check]]")]
    start, end = text.index("[states.bound]"), text.index("[states.tumour]")
    reduced = (text[:start] + text[end:]).replace("stiff = true", "stiff = false")
    both = "(receptors + antigens + koff / kon)"
    quick = model_from_text(
        reduced.replace(
            "[states.blood_effector]",
            f'bound = "0.5 * ({both} - sqrt({both} * {both} - 4 * receptors * antigens))"\n\n[states.blood_effector]',
        )
    )
    times = [3, 7, 10, 14, 20, 30]
    for output in ("car", "tumour"):
        np.testing.assert_allclose(
            predict(quick, times, output=output), predict(model, times, output=output), rtol=0.05
        )
