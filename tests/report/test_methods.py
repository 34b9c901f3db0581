"""What a manuscript takes over: the paragraph, the table, the references."""

import re
from dataclasses import replace

import pandas as pd
import pytest

import carkinetics as ck
from carkinetics.diagnostics import npde
from carkinetics.errors import FitError
from carkinetics.report.methods import methods_section
from carkinetics.report.parts import sort_parts
from carkinetics.response import ExposureResponse


def test_the_paragraph_says_data_model_priors_sampling_and_convergence(good_fit, modelled):
    text = ck.methods_text(good_fit, modelled)
    n, subjects = len(good_fit.observations), len(good_fit.data.subjects)
    assert f"{n} samples (qpcr, copies/ug) of {subjects} patients" in text
    below = (good_fit.observations["status"] != "quantified").mean()
    assert (
        f"of the {n} taken after the infusion {100 * below:.1f} % were below the limit of quantification (LLOQ 50 copies/ug)"
        in text
    )
    assert "(Stein AM et al., doi:10.1002/psp4.12388)" in text
    assert "censored observations (M3)" in text
    assert "R-hat below 1.01 (largest 1.0" in text
    assert "Exposure (Cmax, Tmax" in text
    assert "  " not in text


def test_the_paragraph_of_a_bad_fit_begins_with_saying_so(bad_fit, good_fit):
    assert ck.methods_text(bad_fit).startswith(
        "[Not converged: do not use these numbers: this fit is not to be published ("
    )
    assert not ck.methods_text(good_fit).startswith("[")


def test_samples_that_a_method_leaves_out_are_counted_as_below_the_limit(good_fit):
    used = good_fit.observations[good_fit.observations["status"] == "quantified"]
    m1 = replace(good_fit, observations=used, settings=good_fit.settings | {"blq": "M1"})
    said, all_said = (
        re.search(r"(\d+) samples .* infusion ([\d.]+ %)", ck.methods_text(one)) for one in (m1, good_fit)
    )
    assert int(said[1]) == len(used) < int(all_said[1])
    assert said[2] == all_said[2] != "0.0 %"


def test_what_was_asked_for_stands_beside_what_was_found(bad_fit, good_fit):
    assert "no divergent transition (found 3)" in ck.methods_text(bad_fit)
    settings = good_fit.settings | {"sampler": "laplace", "pareto_k": 0.42}
    text = ck.methods_text(replace(good_fit, settings=settings))
    assert "Pareto's k of its weights, at most 0.7 (found 0.42)" in text
    assert "R-hat" not in text, "draws of an approximation are no chains"


def test_the_parameter_table_is_a_frame_that_carries_its_warning(good_fit, bad_fit):
    good, bad = ck.parameter_table(good_fit), ck.parameter_table(bad_fit)
    assert list(good)[:3] == ["Block", "Parameter (unit)", "Estimate"]
    row = good[good["Parameter (unit)"] == "tmax (day)"].iloc[0]
    assert float(row["Estimate"]) == pytest.approx(
        good_fit.population().loc["tmax_typical", "median"], rel=5e-3
    )
    assert good.attrs["warning"] == ""
    assert bad.attrs["warning"] == "not converged: do not use these numbers"
    assert "√(exp(ω²) − 1)" in good.attrs["note"]


def test_fits_of_single_subjects_have_neither(made_fit, alone):
    for verb in (ck.methods_text, ck.parameter_table):
        with pytest.raises(FitError, match="expected a hierarchical fit, found a fit of method 'individual'"):
            verb(alone(made_fit))


def test_a_fit_cites_its_model_and_its_engine(good_fit, made_fit, alone):
    lines = ck.citation(good_fit).splitlines()
    assert lines[0].startswith("The carkinetics developers.")
    assert "10.1002/psp4.12388" in lines[1]
    assert [re.search(r"doi:(\S+) \(", line)[1] for line in lines[2:5]] == [
        "10.1214/20-BA1221", "10.1023/A:1012299115260", "10.1007/s10928-008-9094-4",
    ]  # fmt: skip
    assert [re.search(r"\((\w+) [\d.]+", line)[1] for line in lines[5:]] == [
        "numpy",
        "scipy",
        "pandas",
        "arviz",
        "pymc",
        "numba",
    ]
    by_nuts = good_fit.__class__(**{**vars(good_fit), "settings": good_fit.settings | {"sampler": "nutpie"}})
    assert "nutpie" in ck.citation(by_nuts)
    assert "10.5281/zenodo.11813" in ck.citation(alone(made_fit))


DOIS = {
    "npde": "10.1007/s11095-006-9067-5", "npde of BLQ values": "10.1007/s10928-012-9264-2", "pcVPC": "10.1208/s12248-011-9255-z",
    "loo": "10.1007/s11222-016-9696-4", "power-scaling": "10.1007/s11222-023-10366-5", "SBC": "1804.06788",
}  # fmt: skip


def test_a_method_is_cited_where_it_was_used_and_not_elsewhere(good_fit):
    def cited(*parts, also=()) -> set[str]:
        text = ck.citation(*parts, also=also)
        return {name for name, doi in DOIS.items() if doi in text}

    assert cited(good_fit) == set()
    assert cited(npde(good_fit, n_sim=100)) == {"npde", "npde of BLQ values"}
    assert [cited(ck.vpc(good_fit, n_sim=20, corrected=c)) for c in (True, False)] == [{"pcVPC"}, set()]
    power, ranking = pd.DataFrame(), pd.DataFrame()
    power.attrs["noise_prior"], ranking.attrs["subjects"] = 0.1, 8
    assert [cited(power), cited(ranking)] == [{"power-scaling"}, {"loo"}]
    assert cited(good_fit, also=("talts2018",)) == {"SBC"}
    left_out = replace(good_fit, settings=good_fit.settings | {"blq": "M1"})
    assert "NONMEM VI" not in ck.citation(left_out)
    assert "10.1023/A:1012299115260" in ck.citation(left_out)


def test_software_is_cited_where_it_was_used(dose, grade):
    assert "statsmodels" not in ck.citation(dose, grade)
    pooled = ExposureResponse(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), "")
    assert "statsmodels" in ck.citation(pooled)


def test_the_report_cites_what_it_shows(good_fit):
    table = methods_section(sort_parts((good_fit,), None)).blocks[-1]
    text = " ".join(row[1] for row in table.rows)
    assert {name for name, doi in DOIS.items() if doi in text} == {
        "npde",
        "npde of BLQ values",
        "pcVPC",
        "SBC",
    }
    assert not table.sortable


def test_versions_are_those_that_made_the_fit_and_not_those_installed(good_fit):
    older = good_fit.settings["versions"] | {"carkinetics": "0.0.7", "pymc": "6.0.99"}
    fit = replace(good_fit, settings=good_fit.settings | {"versions": older})
    assert "Software, version 0.0.7." in ck.citation(fit).splitlines()[0]
    assert "(pymc 6.0.99:" in ck.citation(fit)
    assert "(pymc 6.0.99, " in ck.citation(fit, good_fit), "fits of two versions"
    assert "note = {Software, version 0.0.7}" in ck.citation(fit, bibtex=True)


def test_bibtex_entries_are_whole_and_have_different_keys():
    every = [ck.load_model(name) for name in ck.models()["name"]]
    text = ck.citation(*every, bibtex=True)
    keys = re.findall(r"^@\w+\{([^,]+),", text, re.MULTILINE)
    assert len(keys) == len(set(keys))
    assert len(keys) > 20
    for entry in re.split(r"\n\n(?=@)", text):
        assert entry.count("{") == entry.count("}"), entry


def test_a_model_is_cited_once():
    model = ck.load_model("stein2019")
    assert ck.citation(model, model).count("10.1002/psp4.12388") == 1


def test_a_citation_in_words_can_be_set_by_latex(made_fit):
    model = replace(made_fit.model, citation="Smith & Sons 2020, 50 % of model_1", bibtex="", doi="10.1/a_b")
    entry = ck.citation(model, bibtex=True).split("\n\n")[1]
    assert r"note = {Smith \& Sons 2020, 50 \% of model\_1}" in entry
    assert "doi = {10.1/a_b}" in entry, "a DOI is no text"
