"""A user writes a model: copies a file, changes an equation, fits; and the page that tells how is true."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import carkinetics as ck
from carkinetics.cli import app
from carkinetics.model.library import model_files, model_from_text

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import models_page

PAGE = models_page.PAGE.read_text(encoding="utf-8")
EQUATION, CLASSES, LAYERS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_lists_the_files_as_they_are():
    assert models_page.filled(PAGE) == PAGE, "run `make models`"


def test_every_model_has_a_figure():
    drawn = {path.stem for path in models_page.FIGURES.glob("*.png")}
    assert drawn == {path.stem for path in model_files()}


def changed(text: str) -> str:
    """What the page tells a user to change in the copied file."""
    for section in ("derived", "closed_form"):
        new = re.search(rf"\[{section}\].*?(?=\n\[|\Z)", EQUATION, re.DOTALL)
        assert new is not None
        text = re.sub(
            rf"\[{section}\].*?(?=\n\[)",
            lambda _, new=new: new.group().strip() + "\n",
            text,
            count=1,
            flags=re.DOTALL,
        )
    return text.replace('name = "stein2019"', 'name = "ours"')


def test_a_copy_with_another_equation_is_fitted(tmp_path):
    shown = CliRunner().invoke(app, ["models", "stein2019", "--toml"])
    assert shown.exit_code == 0
    path = tmp_path / "ours.toml"
    path.write_text(changed(shown.output), encoding="utf-8")
    with pytest.raises(
        ck.CarkineticsError, match=r"ours\.toml, line \d+: \[closed_form\] level = .* uses 'shape'"
    ):
        ck.load_model(path)
    shape = '[parameters.shape]\nmeaning = "power of the decline"\nunit = "1"\ntypical = 2\nfixed = true\n\n[derived]'
    text = path.read_text(encoding="utf-8").replace("[derived]", shape, 1)
    text = text[: text.index("[[check]]")]  # they were about the old equation
    for gone in ("fb", "beta"):
        text = re.sub(rf"\[parameters\.{gone}\].*?(?=\n\[)", "", text, flags=re.DOTALL)
    text = re.sub(r"\[quantities\.half_life.*?(?=\n\[|\Z)", "", text, flags=re.DOTALL)
    path.write_text(text, encoding="utf-8")
    ours = ck.load_model(path)
    assert ck.predict(ours, [9.3]).iloc[0] == pytest.approx(24000)
    times = (1, 3, 5, 7, 9, 11, 14, 21, 28, 60)
    data = ck.simulate(
        ours, {"times": times, "lloq": 10}, 25, 4, omega={"foldx": 0.5, "tmax": 0.2, "alpha": 0.3}, sigma=0.3
    )
    fit = ck.fit_population(ours, data)
    assert fit.converged
    assert fit.parameters.loc["alpha_typical", "estimate"] == pytest.approx(0.16, rel=0.3)
    assert fit.parameters.loc["cmax_typical", "estimate"] == pytest.approx(24000, rel=0.6)


def test_the_composed_example_is_a_model():
    model = model_from_text(LAYERS, "ours.toml")
    assert list(model.outputs) == ["level", "il6", "ifn"]
    # IL-6 is released until the peak only, so it falls with its own half-life from there on.
    il6 = ck.predict(model, [9.3, 10.3], output="il6") - 5
    assert il6.iloc[1] == pytest.approx(il6.iloc[0] * np.exp(-3.96), rel=1e-4)


def test_the_shown_model_says_what_it_is_for_and_what_data_can_tell(tmp_path):
    figure = tmp_path / "typical.png"
    shown = CliRunner().invoke(app, ["models", "kimmel2021", "--figure", str(figure)])
    assert shown.exit_code == 0
    assert "What data can tell:" in shown.output
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert CliRunner().invoke(app, ["models", "kimmel2021", "--bibtex"]).output.startswith("@article")
    assert "ada_step" in CliRunner().invoke(app, ["models", "--layers"]).output
