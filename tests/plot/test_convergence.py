from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from carkinetics.diagnostics.exploration import ess_growth, funnels
from carkinetics.errors import ConfigError, FitError
from carkinetics.plot import energy, ess, funnel


@pytest.fixture(scope="module")
def nuts_fit(made_fit):
    rng, tree = np.random.default_rng(1), made_fit.tree.copy()
    shape = tuple(made_fit.tree["posterior"].sizes[d] for d in ("chain", "draw"))
    stats = {"energy": rng.normal(100, 5, shape), "diverging": rng.random(shape) < 0.05}
    tree["sample_stats"] = xr.DataTree(xr.Dataset({k: (("chain", "draw"), v) for k, v in stats.items()}))
    return replace(made_fit, tree=tree)


def test_the_slowest_quantities_are_named(nuts_fit, rendered):
    axes = ess(nuts_fit)
    assert rendered(axes)
    table = ess_growth(nuts_fit)
    last = table[table["draws"] == 100].set_index("parameter")[["bulk", "tail"]].min(axis=1)
    words = [text.get_text() for text in axes[0].figure.legends[0].get_texts()]
    assert words[:4] == last.nsmallest(4).index.tolist()
    with pytest.raises(ConfigError, match=r"expected \(2,\)"):
        ess(nuts_fit, axes=Figure().subplots(1, 3))


def test_energy_is_drawn_where_there_is_one(nuts_fit, made_fit, rendered):
    ax = energy(nuts_fit)
    assert rendered(ax)
    assert "chain 2: E-BFMI" in " ".join(t.get_text() for t in ax.figure.legends[0].get_texts())
    with pytest.raises(FitError, match="only NUTS has"):
        energy(made_fit)


def test_divergent_draws_lie_on_the_funnel(nuts_fit, rendered):
    panels = funnel(nuts_fit)
    assert rendered(panels)
    assert len(panels) == len(nuts_fit.settings["random"])
    count = funnels(nuts_fit)["divergences"].iloc[0]
    crosses = [line for line in panels[0].get_lines() if line.get_marker() == "x"]
    assert len(crosses[0].get_xdata()) == count > 0
    assert panels[0].get_title().startswith("r ")
