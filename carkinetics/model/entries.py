"""The tables of a model file that stand for themselves: parameters and inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from carkinetics.errors import ModelFileError
from carkinetics.model.place import Place
from carkinetics.model.prior import PRIOR_KINDS, TO_FREE, Prior
from carkinetics.model.series import INTERPOLATIONS
from carkinetics.model.spec import Input, Parameter
from carkinetics.units import canonical_unit

STARTS = ("", "peak", "peak_time", "fold", "decline", "lag")
SOURCES = ("event", "column", "assay")


def read_parameter(place: Place, name: str, entry: Any) -> Parameter:
    """Read ``[parameters.NAME]``.

    Parameters
    ----------
    place : Place
        The file.
    name : str
        Name of the parameter.
    entry : object
        What was found.

    Returns
    -------
    Parameter
        Its description.

    Raises
    ------
    ModelFileError
        If the entry does not make sense.
    """
    section = f"parameters.{name}"
    known = ("transform", "omega", "omega_prior", "start", "fixed", "source")
    entry = place.table(section, entry, "meaning", "unit", "typical", "prior", known=known)
    prior = Prior.of(entry["prior"], place.at(section, "prior"))
    transform = entry.get("transform", prior.transform)
    if transform not in TO_FREE or transform != prior.transform:
        right = {scale: kind for kind, (_, _, scale) in PRIOR_KINDS.items()}
        raise ModelFileError(
            f"{place.at(section, 'transform')} is {transform!r} but the prior is {prior.dist}; "
            f"pairs are {', '.join(f'{scale} with {kind}' for scale, kind in right.items())}"
        )
    typical = place.number(section, "typical", entry["typical"])
    with np.errstate(all="ignore"):
        if not np.isfinite(TO_FREE[transform](typical)):
            raise ModelFileError(
                f"{place.at(section, 'typical')} is {typical:g}, outside the {transform} scale"
            )
    omega = place.number(section, "omega", entry["omega"]) if "omega" in entry else None
    if omega is not None and omega <= 0:
        raise ModelFileError(
            f"{place.at(section, 'omega')} is {omega:g}; expected a standard deviation above 0"
        )
    return Parameter(
        name=name,
        meaning=str(entry["meaning"]),
        unit=canonical_unit(entry["unit"]),
        typical=typical,
        transform=transform,
        prior=prior,
        omega=omega,
        omega_prior=place.number(section, "omega_prior", entry.get("omega_prior", 1.0)),
        start=place.choice(section, "start", entry.get("start", ""), STARTS),
        fixed=place.flag(section, "fixed", entry.get("fixed", False)),
        source=str(entry.get("source", "")),
    )


def read_input(place: Place, name: str, entry: Any) -> Input:
    """Read ``[inputs.NAME]``.

    Parameters
    ----------
    place : Place
        The file.
    name : str
        Name of the input.
    entry : object
        What was found.

    Returns
    -------
    Input
        Its description.

    Raises
    ------
    ModelFileError
        If the entry does not make sense.
    """
    section = f"inputs.{name}"
    entry = place.table(section, entry, "meaning", "unit", "default", known=(*SOURCES, "interpolation"))
    sources = [key for key in SOURCES if key in entry]
    if len(sources) > 1:
        raise ModelFileError(
            f"{place.at(section, sources[1])}: {' and '.join(sources)} are both given; an input has one source "
            "(or none, if it is a constant)"
        )
    for key in sources:
        if not isinstance(entry[key], str) or not entry[key]:
            raise ModelFileError(
                f"{place.at(section, key)} is {entry[key]!r}; expected the name of the {key}"
            )
    if ("assay" in entry) != ("interpolation" in entry):
        raise ModelFileError(
            f"{place.at(section, 'interpolation')}: an input has both 'assay' and 'interpolation' "
            f"({', '.join(INTERPOLATIONS)}), or neither"
        )
    if "assay" in entry:
        place.choice(section, "interpolation", entry["interpolation"], INTERPOLATIONS)
    default = place.number(section, "default", entry["default"])
    lowest = 0.0 if entry.get("interpolation") == "log" else -np.inf
    if "assay" in entry and not lowest < default < np.inf:
        raise ModelFileError(
            f"{place.at(section, 'default')} is {default:g}; expected a level{' above 0' if lowest == 0 else ''}, for "
            "subjects in whom it was never measured"
        )
    return Input(
        name=name,
        meaning=str(entry["meaning"]),
        unit=canonical_unit(entry["unit"]),
        event=entry.get("event", ""),
        default=default,
        column=entry.get("column", ""),
        assay=entry.get("assay", ""),
        interpolation=entry.get("interpolation", ""),
    )
