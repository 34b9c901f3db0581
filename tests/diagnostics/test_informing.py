"""On which days a parameter shows, against what can be worked out on paper for Stein's curve."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq

from carkinetics.diagnostics import diagnose, informing_days
from carkinetics.diagnostics.informing import informing_words
from carkinetics.errors import FitError


def test_the_growth_shows_where_its_derivative_is_largest(made_fit):
    """ln C = ln Cmax − ln foldx (1 − t / tmax): the squared effect of ln foldx over sqrt(t) is (1 − x²)² with x = sqrt(t / tmax)."""
    tmax = made_fit.population().loc["tmax_typical", "median"]
    days = informing_days(made_fit)

    def share(x):
        return (x - 2 * x**3 / 3 + x**5 / 5) / (8 / 15)

    ends = [tmax * brentq(lambda x, p=p: share(x) - p, 0, 1) ** 2 for p in (0.1, 0.9)]
    assert days.loc["foldx", ["first", "last"]].tolist() == pytest.approx(
        ends, abs=0.2
    )  # between two points of the grid


def test_the_slow_decline_shows_when_the_fast_one_is_over(made_fit):
    days = informing_days(made_fit)
    assert days.loc["beta", "first"] > 60
    assert days.loc["beta", "last"] > 300
    assert days.loc["tmax", "last"] < 30


def test_samples_are_those_between_the_days(made_fit):
    days, rows = informing_days(made_fit), made_fit.data.observations
    for _, row in days.iterrows():
        inside = rows[(rows["time"] >= row["first"]) & (rows["time"] <= row["last"])]
        assert row["samples"] == len(inside)
        assert row["quantified"] == inside["value"].notna().sum()
        assert row["subjects"] == inside.loc[inside["value"].notna(), "subject"].nunique()


def test_words_count_the_samples_and_say_when_there_are_none(made_fit):
    days = informing_days(made_fit)
    row = days.loc["beta"].copy()
    assert f"{row['quantified']:.0f} of {row['samples']:.0f} samples are quantified" in informing_words(row)
    row["samples"] = row["quantified"] = row["subjects"] = 0
    assert informing_words(row).endswith("nobody was sampled")
    row["first"] = np.nan
    assert informing_words(row) == "it does not move the typical course"


def test_what_was_not_informed_says_when_it_would_show(made_fit, completed):
    """The posterior of the terminal slope is as wide as its prior, and samples end on day 28."""
    rows = made_fit.data.observations
    short = replace(made_fit.data, observations=rows[rows["time"] <= 28].reset_index(drop=True))
    tree = made_fit.tree.copy()
    posterior, prior = tree["posterior"].to_dataset(), tree["prior"].to_dataset()
    values = prior["beta_typical"].to_numpy().ravel()
    drawn = np.resize(values, posterior["beta_typical"].shape)
    tree["posterior"] = posterior.assign(beta_typical=(posterior["beta_typical"].dims, drawn))
    found = diagnose(completed(replace(made_fit, data=short, tree=tree)))
    message = found[(found["rule"] == "prior-dominated") & (found["where"] == "beta_typical")][
        "message"
    ].item()
    assert "beta_typical is not informed by the data" in message
    assert message.endswith("where nobody was sampled")


def test_an_individual_fit_has_no_typical_course(made_fit):
    with pytest.raises(FitError, match="hierarchical"):
        informing_days(replace(made_fit, settings=made_fit.settings | {"method": "individual"}))
