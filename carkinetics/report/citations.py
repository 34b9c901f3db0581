"""What to cite: the models that were fitted, the software that did it, and how to write both in BibTeX.

Entries were compared with what the projects ask for, or with two independent bibliographies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from carkinetics.fit import Fit
from carkinetics.fit.population import PopulationFit
from carkinetics.model import Model
from carkinetics.report.method_works import methods_of
from carkinetics.report.reference import Reference
from carkinetics.response import EventModel, ExposureResponse, OnsetTiming

_LATEX = str.maketrans({sign: f"\\{sign}" for sign in "&%$#_"})  # what LaTeX would run
_SOFTWARE = {
    "numpy": Reference(
        "harris2020", "Harris, C. R. and Millman, K. J. and van der Walt, S. J. and others", "Array programming with NumPy",
        "Nature", "585", "357-362", "2020", "10.1038/s41586-020-2649-2", "arrays",
    ),
    "scipy": Reference(
        "virtanen2020", "Virtanen, P. and Gommers, R. and Oliphant, T. E. and others",
        "SciPy 1.0: fundamental algorithms for scientific computing in Python", "Nature Methods", "17", "261-272", "2020",
        "10.1038/s41592-019-0686-2", "distributions, optimisation, differential equations",
    ),
    "pandas": Reference(
        "mckinney2010", "McKinney, W.", "Data structures for statistical computing in Python",
        "Proceedings of the 9th Python in Science Conference", "", "56-61", "2010", "10.25080/Majora-92bf1922-00a", "tables",
        "inproceedings",
    ),
    "arviz": Reference(
        "martin2026", "Martin, O. A. and Abril-Pla, O. and Deklerk, J. and Axen, S. D. and Carroll, C. and Hartikainen, A. and Vehtari, A.",
        "ArviZ: a modular and flexible library for exploratory analysis of Bayesian models",
        "Journal of Open Source Software", "11", "9889", "2026", "10.21105/joss.09889", "convergence and leave-one-out weights",
    ),
    "pymc": Reference(
        "abrilpla2023", "Abril-Pla, O. and Andreani, V. and Carroll, C. and Dong, L. and Fonnesbeck, C. J. and Kochurov, M. and others",
        "PyMC: a modern and comprehensive probabilistic programming framework in Python", "PeerJ Computer Science", "9",
        "e1516", "2023", "10.7717/peerj-cs.1516", "the definition of the hierarchical model",
    ),
    "numba": Reference(
        "lam2015", "Lam, S. K. and Pitrou, A. and Seibert, S.", "Numba: a LLVM-based Python JIT compiler",
        "Proceedings of the Second Workshop on the LLVM Compiler Infrastructure in HPC", "", "7:1-6", "2015",
        "10.1145/2833157.2833162", "machine code of equations and of the sampler", "inproceedings",
    ),
    "nutpie": Reference(
        "nutpie", "Seyboldt, A. and {PyMC Developers}", "nutpie", "Software", "", "", "", "", "the No-U-Turn sampler", "misc",
    ),
    "lmfit": Reference(
        "newville2014", "Newville, M. and Stensitzki, T. and Allen, D. B. and Ingargiola, A.",
        "LMFIT: non-linear least-square minimization and curve-fitting for Python", "Zenodo", "", "", "2014", "10.5281/zenodo.11813",
        "fits of single subjects", "misc",
    ),
    "statsmodels": Reference(
        "seabold2010", "Seabold, S. and Perktold, J.", "statsmodels: econometric and statistical modeling with Python",
        "Proceedings of the 9th Python in Science Conference", "", "92-96", "2010", "10.25080/Majora-92bf1922-011",
        "survival and ordinal regression", "inproceedings",
    ),
}  # fmt: skip


def citation(*parts: Any, bibtex: bool = False, also: tuple[str, ...] = ()) -> str:
    """What to cite for an analysis: this package, the models, the methods, and the software that the results rest on.

    Parameters
    ----------
    *parts : Model, Fit or any other result
        What was used. Models are cited with their own papers; a fit also with the engine that made it.
    bibtex : bool
        As BibTeX entries.
    also : tuple of str
        Keys of methods that were used and are not seen from the parts, such as ``"talts2018"``.

    Returns
    -------
    str
        One reference a line, or one entry after the other.

    Examples
    --------
    >>> print(citation().splitlines()[0])
    The carkinetics developers. carkinetics: CAR-T cellular kinetics. Software, version 0.1.0.
    """
    models = _models(parts)
    names = software_of(parts)
    works, methods = [_SOFTWARE[name] for name in names], methods_of(parts, also)
    if not bibtex:
        cited = [
            f"{model.citation}{f' doi:{model.doi}' if model.doi else ''}"
            for model in models
            if model.citation
        ]
        ours = f"The carkinetics developers. carkinetics: CAR-T cellular kinetics. Software, version {made_with('carkinetics', parts)}."
        rest = (
            f"{_SOFTWARE[name].text} ({name} {made_with(name, parts)}: {_SOFTWARE[name].what})"
            for name in names
        )
        papers = (f"{work.text} ({work.what})" for work in methods)
        return "\n".join([ours, *cited, *papers, *rest])
    own = (
        "@misc{carkinetics,\n  author = {{The carkinetics developers}},\n  title = {carkinetics: CAR-T cellular kinetics},\n"
        f"  note = {{Software, version {made_with('carkinetics', parts)}}},\n}}"
    )
    entries = [model.bibtex.strip() or _note(model) for model in models if model.citation]
    return "\n\n".join(_once([own, *entries, *(work.bibtex for work in (*methods, *works))])) + "\n"


def _once(texts: list[str]) -> list[str]:
    """Every entry of some texts, one for each key: two models can come from one paper."""
    entries = [entry.strip() for text in texts for entry in re.split(r"\n(?=@)", text)]
    return list({entry.partition(",")[0]: entry for entry in reversed(entries)}.values())[::-1]


def made_with(name: str, parts: tuple[Any, ...]) -> str:
    """Version of a package that results were made with: a saved fit remembers it, and may be older than what is installed.

    Parameters
    ----------
    name : str
        Of the package.
    parts : tuple
        Results.

    Returns
    -------
    str
        One version, or several with commas; that which is installed where no fit says.
    """
    told = [part.settings.get("versions", {}).get(name) for part in parts if isinstance(part, Fit)]
    return ", ".join(dict.fromkeys(str(one) for one in told if one)) or version(name)


def _note(model: Model) -> str:
    """An entry for a model whose file has a citation in words only."""
    key = re.sub(r"\W", "", model.name)
    doi = f"  doi = {{{model.doi}}},\n" if model.doi else ""
    return f"@misc{{{key},\n  note = {{{model.citation.translate(_LATEX)}}},\n{doi}}}"


def _models(parts: tuple[Any, ...]) -> list[Model]:
    """Models of the parts, each once, in order."""
    found: dict[str, Model] = {}
    for part in parts:
        model = part if isinstance(part, Model) else getattr(part, "model", None)
        if isinstance(model, Model):
            found.setdefault(model.citation or model.name, model)
    return list(found.values())


def software_of(parts: tuple[Any, ...]) -> list[str]:
    """Packages that results rest on, in the order in which they are cited.

    Parameters
    ----------
    parts : tuple
        Results.

    Returns
    -------
    list of str
        Names of packages.
    """
    used = {"numpy", "scipy", "pandas", *(name for part in parts for name in _used_by(part))}
    return [name for name in _SOFTWARE if name in used]


def _used_by(part: Any) -> Iterator[str]:
    if isinstance(part, PopulationFit):
        yield "numba"
    if isinstance(part, Fit):
        yield "numba"
        if part.method == "individual":
            yield "lmfit"
            return
        yield from ("arviz", "pymc")
        if part.settings.get("sampler") == "nutpie":
            yield "nutpie"
    if isinstance(part, ExposureResponse | EventModel | OnsetTiming):
        yield "statsmodels"
