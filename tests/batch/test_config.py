import inspect
import tomllib
from pathlib import Path

import pytest

from carkinetics.batch import config
from carkinetics.batch.asked import AFTER_A_FIT
from carkinetics.batch.config import read_study
from carkinetics.dataset import read_nonmem
from carkinetics.errors import ConfigError
from carkinetics.exposure import exposure_from, nca
from carkinetics.fit import fit_hierarchical
from carkinetics.response import dose_exposure, fit_grade, responses_from

ROOT = Path(__file__).resolve().parents[2]
FULL = """
seed = 3
[data]
path = "data.csv"
assay = "qpcr"
value_unit = { qpcr = "copies/ug", flow = "cells/uL" }
lloq = { qpcr = 50, flow = 0.1 }
[fit.base]
model = "stein2019"
[fit.dose]
model = "stein2019"
covariates = { cmax = "log(dose / 1e6)" }
priors = { tmax = { dist = "lognormal", median = 12, sigma = 0.4 } }
fix = { beta = 0.003 }
draws = 500
[exposure]
fit = "dose"
[dose]
[response.crs]
outcome = "crs_grade >= 3"
on = "log(cmax)"
"""


@pytest.fixture
def write(tmp_path: Path):
    (tmp_path / "data.csv").write_text("ID,TIME,DV\n1,1,100\n", encoding="utf-8")

    def to_file(text: str) -> Path:
        path = tmp_path / "study.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


def test_a_full_study_file_is_read(write):
    study = read_study(write(FULL))
    assert study.seed == 3
    assert study.data.assay == "qpcr"
    assert study.data.settings["lloq"] == {"qpcr": 50, "flow": 0.1}
    base, dose = study.fits
    assert (base.name, dose.name) == ("base", "dose")
    assert dose.settings == {"covariates": {"cmax": "log(dose / 1e6)"}, "draws": 500}
    assert dose.fix == {"beta": 0.003}
    assert study.exposure_fit == "dose"
    assert study.report_fit == "dose"
    assert study.dose_metrics == ("auc_0_28",)
    assert study.responses == {"crs": {"outcome": "crs_grade >= 3", "on": "log(cmax)"}}


def test_an_outcome_is_called_by_the_label_or_by_its_expression(write):
    text = FULL.replace("response.crs", "response.objective_response")
    event = '[event.pfs]\nlabel = "progression or death"\nduration = "d"\nevent = "e"\non = "log(cmax)"\n'
    study = read_study(write(text + event))
    assert (
        "label" not in study.responses["objective_response"]
    )  # a section's name, such as "adjusted", may be no outcome
    assert study.events["pfs"]["label"] == "progression or death"
    with pytest.raises(ConfigError, match=r"\[event.pfs\] label is 3; expected text"):
        read_study(write(text + event.replace('"progression or death"', "3")))


def test_paths_are_relative_to_the_study_file(write, monkeypatch, tmp_path_factory):
    path = write(FULL + '[report]\ntitle = "T"\n')
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    study = read_study(path)
    assert study.data.paths == (path.parent / "data.csv",)
    assert study.output == path.parent / "runs" / "study"


@pytest.mark.parametrize(
    ("section", "function", "own"),
    [
        (config._DATA, read_nonmem, {"path", "format", "assay"}),
        (config._NCA, nca, set()),
        (config._FIT, fit_hierarchical, {"model", "value_unit", "priors", "fix", *AFTER_A_FIT}),
        (config._EXPOSURE, exposure_from, {"fit"}),
        (config._DOSE, dose_exposure, {"metrics"}),
        (config._RESPONSE, fit_grade, set()),
        (config._TUMOUR, responses_from, set()),
    ],
)
def test_every_key_is_an_argument_of_the_function_that_reads_it(section, function, own):
    assert set(section) - own <= set(inspect.signature(function).parameters)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[data]\npath = "data.csv"\nloq = 5',
            r"study.toml: \[data\] unknown key 'loq'; did you mean '[lu]loq'\?",
        ),
        (
            '[data]\npath = "data.csv"\n[fit.a]\nmodel = "m"\nchain = 4',
            r"\[fit.a\] unknown key 'chain'.*'chains'",
        ),
        ('[data]\npath = "data.csv"\n[fits.a]\nmodel = "m"', "unknown key 'fits'; did you mean 'fit'"),
        (
            '[data]\npath = "data.csv"\n[fit.a]\nmodel = "m"\ndraws = 0',
            "draws is 0; expected a whole number above 0",
        ),
        ('[data]\npath = "data.csv"\n[fit.a]\nmodel = "m"\ndraws = true', "draws is True"),
        ('[data]\npath = "data.csv"\n[fit.a]\nrandom = ["cmax"]', r"\[fit.a\] 'model' is missing"),
        (
            '[data]\npath = "data.csv"\n[fit]\nmodel = "m"',
            r"stands outside a named section; write \[fit.NAME\]",
        ),
        ('[data]\npath = "data.csv"\n[fit."a/b"]\nmodel = "m"', "a name of letters, digits"),
        (
            '[data]\npath = "data.csv"\n[exposure]\nfit = "bse"\n[fit.base]\nmodel = "m"',
            "did you mean 'base'",
        ),
        ('[data]\npath = "data.csv"\n[exposure]\n[fit.a]\nmodel="m"\n[fit.b]\nmodel="m"', "name one of a, b"),
        ('[data]\npath = "data.csv"\n[response.crs]\non = "cmax"', r"\[response.crs\] 'outcome' is missing"),
        ('[data]\npath = "data.csv"\n[tumour]\n', r"\[tumour\] 'assay' is missing"),
        (
            '[data]\npath = "data.csv"\n[tumour]\nassay = "sld"\nconfirmed = true',
            "unknown key 'confirmed'; did you mean 'confirm'",
        ),
        (
            '[data]\npath = "data.csv"\n[tumour]\nassay = "sld"\npfs = { duration = "a", evnt = "b" }',
            r"\[tumour.pfs\] unknown key 'evnt'; did you mean 'event'",
        ),
        (
            '[data]\npath = "data.csv"\n[tumour]\nassay = "sld"\nos = { duration = "a" }',
            r"\[tumour.os\] 'event' is missing",
        ),
        ('[data]\npath = "dta.csv"', "there is no file"),
        ('[data]\npath = "data.csv"\nformat = "nonmen"', "did you mean 'nonmem'"),
        ('seed = -1\n[data]\npath = "data.csv"', "seed is -1; expected a whole number from 0"),
        ('seed = 9999999999999999999\n[data]\npath = "data.csv"', r"a whole number from 0 to 2\*\*63 - 1"),
        ('[data]\npath = "data.csv"\nvalue_unit = { car = 3 }', "expected text or a table of text"),
        ('[data]\npath = "data.csv"\nlloq = { car = "25" }', "expected a number or a table of numbers"),
        ('[data]\npath = "data.csv"\ncolumns = { DV = 3 }', "columns is .*; expected a table of text"),
        ('[data]\npath = "data.csv"\nassay_names = { 1 = 3 }', "assay_names is .*; expected a table of text"),
        (
            '[data]\npath = "data.csv"\n[fit.a]\nmodel = "m"\ncovariates = { cmax = 3 }',
            "covariates is .*; expected a table of text or lists of text",
        ),
        ("seed = 1", "'data' is missing"),
        ("data = 1", "data is 1; expected a table"),
        ("[data", "not valid TOML"),
    ],
)
def test_a_mistake_is_named_with_its_place(write, text, said):
    with pytest.raises(ConfigError, match=said):
        read_study(write(text))


def test_a_missing_study_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read: No such file"):
        read_study(tmp_path / "none.toml")


def test_the_study_file_of_the_readme_is_a_study_file(tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    text = readme.split("```toml\n")[1].split("```")[0]
    for name in ("measurements.csv", "subjects.csv"):
        (tmp_path / name).write_text("ID\n", encoding="utf-8")
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    study = read_study(tmp_path / "study.toml")
    assert [fit.name for fit in study.fits] == ["base"]
    assert study.exposure_fit == "base"


def test_the_shipped_study_reads_its_data_as_the_example_does():
    folder = ROOT / "data" / "nct05783089"
    study = read_study(folder / "study.toml")
    example = tomllib.loads((folder / "dataset.toml").read_text(encoding="utf-8"))
    about = {"path", "subjects", "about"}
    assert study.data.settings.items() >= {k: v for k, v in example.items() if k not in about}.items()
    # Outside the data folder, which goes into the wheel as a whole.
    assert not study.output.resolve().is_relative_to(folder)


def test_markers_wide_columns_and_several_covariates_can_be_named(write):
    text = (
        '[data]\npath = "data.csv"\nmarkers = ["flow"]\ncolumns = { ID = "USUBJID", DV = { qpcr = "Q", flow = "F" } }\n'
        '[fit.a]\nmodel = "m"\ncovariates = { cmax = ["log(dose)", "sex"], alpha = "age" }\n'
    )
    study = read_study(write(text))
    assert study.data.settings["markers"] == ["flow"]
    assert study.data.settings["columns"]["DV"] == {"qpcr": "Q", "flow": "F"}
    assert study.fits[0].settings["covariates"]["alpha"] == "age"


def test_the_formats_of_the_report(write):
    assert read_study(write(FULL)).report_formats == ("html",)
    path = write(FULL + '[report]\nformats = ["pdf", "docx"]\n')
    assert read_study(path).report_formats == ("html", "docx", "pdf")
    with pytest.raises(ConfigError, match=r"\[report\].*formats has 'doc'; did you mean 'docx'"):
        read_study(write(FULL + '[report]\nformats = ["html", "doc"]\n'))


def test_the_fits_to_be_compared_are_fits_of_the_study(write):
    assert read_study(write(FULL)).compared == ()
    assert read_study(write(FULL + '[report]\ncompare = ["dose", "base"]\n')).compared == ("dose", "base")
    with pytest.raises(ConfigError, match=r"\[report\] compare is 'bas'.*did you mean 'base'"):
        read_study(write(FULL + '[report]\ncompare = ["bas", "dose"]\n'))
    for named in ('["base"]', '["base", "base"]'):
        with pytest.raises(ConfigError, match="expected two fits or more, each once"):
            read_study(write(FULL + f"[report]\ncompare = {named}\n"))


def test_a_fit_with_covariates_has_a_forest_unless_it_is_refused(fitted_study):
    text = fitted_study.read_text(encoding="utf-8")
    asked = {"": {}, 'covariates = { cmax = "log(dose)" }': {"forest": True}}
    asked['covariates = { cmax = "log(dose)" }\nforest = false'] = {"forest": False}
    for lines, after in asked.items():
        fitted_study.write_text(text.replace("chains = 2", f"chains = 2\n{lines}"), encoding="utf-8")
        (fit,) = read_study(fitted_study).fits
        assert fit.after == after
