r"""A cytokine that is released by what CAR-T cells do and lost with a constant rate, in closed form.

.. math:: \frac{dY}{dt} = k_{out} \{ B (1 + R\, S(t - d)) - (1 - b\,[t > t_{toci}])\, Y \}, \qquad S = \frac{D}{D_{50} + D}

The driver D is a curve that is known (the CAR-T level, or how fast it rises). Between knots that are placed where the
curve bends, S is taken as linear, and the response of a first-order loss to a ramp is a formula. So nothing is
integrated, and the times and levels at the knots are inputs of each subject: one model serves every curve.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from carkinetics.errors import ConfigError
from carkinetics.model.library import model_from_text
from carkinetics.model.prior import Prior
from carkinetics.model.spec import Model

Floats = NDArray[np.float64]
N_KNOTS = 32
HALVES = (0.1, 1.0)
# Rates of loss in 1/day of Hardiansyah D, Ng CM. Clin Transl Sci 2019;12:343-349.
LOSS = {"il6": 3.96, "il10": 4.68, "ifng": 1.51}
_ALSO = {"ifn": "ifng", "ifngamma": "ifng", "interferongamma": "ifng", "interleukin6": "il6", "interleukin10": "il10"}  # fmt: skip


def loss_rate(assay: str, half_life: float | Mapping[str, Any] | None) -> float | Prior:
    """Rate of loss of a cytokine: published, given, or to be estimated.

    Parameters
    ----------
    assay : str
        Name of the cytokine, such as ``"IL-6"`` or ``"ifn_gamma"``.
    half_life : float, mapping or None
        Days; a log-normal prior of days; None for the published one.

    Returns
    -------
    float or Prior
        In 1/day.

    Raises
    ------
    ConfigError
        If none is published here, or the number or prior makes no sense.

    Examples
    --------
    >>> loss_rate("IL-6", None), round(loss_rate("crp", 0.79), 3)
    (3.96, 0.877)
    """
    if half_life is None:
        plain = re.sub(r"[^a-z0-9]", "", assay.lower())
        name = _ALSO.get(plain, plain)
        if name not in LOSS:
            raise ConfigError(
                f"assay {assay!r}: no half-life is known here (only of IL-6, IL-10 and IFN-gamma); give half_life= in days, or a "
                'prior such as {"dist": "lognormal", "median": 0.5, "sigma": 0.5}'
            )
        return LOSS[name]
    if isinstance(half_life, Mapping):
        prior = Prior.of(half_life, "half_life")
        if prior.dist != "lognormal":
            raise ConfigError(f"half_life: a {prior.dist} prior; expected a lognormal one, as it is above 0")
        return Prior("lognormal", float(np.log(2) / prior.centre), prior.spread, prior.source)
    if not (np.isfinite(half_life) and half_life > 0):
        raise ConfigError(f"half_life is {half_life!r}; expected days, above 0")
    return float(np.log(2) / half_life)


def turnover_model(
    unit: str, driver_unit: str, parameters: Mapping[str, Prior | float], *, block: bool, error: str = "lognormal"
) -> Model:  # fmt: skip
    """Model of a cytokine whose driver is an input.

    Parameters
    ----------
    unit, driver_unit : str
        Of the cytokine and of the driver.
    parameters : mapping
        A prior, or a number where it is fixed, for ``base, rise, half, kout, delay``.
    block : bool
        Whether tocilizumab (event ``tocilizumab``) stops a share of the loss, which is estimated.
    error : str
        Residual error.

    Returns
    -------
    Model
        Inputs ``driver_0 ...`` are levels of the driver at the days ``knot_0 ...``; it is constant after the last, and 0
        before day 0.
    """
    knots = range(N_KNOTS)
    inputs = [("knot", "day"), ("driver", driver_unit)]
    lines = [
        'schema = 1\nname = "turnover"\ntitle = "A cytokine released by a driver that is known, with turnover"',
        f'value_unit = "{unit}"',
        *(_parameter(name, parameters[name], unit, driver_unit) for name in ("base", "rise", "half", "kout", "delay")),
        *(_parameter("block", Prior("logitnormal", 0.5, 1.5), unit, driver_unit) for _ in range(block)),
        *(f'[inputs.{what}_{j}]\nmeaning = "{what} {j}"\nunit = "{its}"\ncolumn = "{what}_{j}"\ndefault = {j if what == "knot" else 0}'
          for what, its in inputs for j in knots),
        *('[inputs.toci]\nmeaning = "first tocilizumab"\nunit = "day"\nevent = "tocilizumab"\ndefault = inf' for _ in range(block)),
        "[derived]",
        *(f's_{j} = "driver_{j} / (half + driver_{j})"' for j in knots),
        *(f'm_{j} = "(s_{j + 1} - s_{j}) / (knot_{j + 1} - knot_{j})"' for j in knots[:-1]),
        *(f'bend_{j} = "{_bend(j)}"' for j in knots),
        *_response(block),
        f'[observation]\nof = "level"\nerror = "{error}"\nresidual = 0.6',
    ]  # fmt: skip
    return model_from_text("\n".join(lines), "turnover")


_MEANING = {
    "base": "level without CAR-T cells",
    "rise": "largest rise, in multiples of the base",
    "half": "driver at half of the largest rise",
    "kout": "rate of loss",
    "delay": "days by which the cytokine follows its driver; negative if it is ahead",
    "block": "share of the loss that tocilizumab stops",
}
# Starting value of omega, and scale of its prior, on the free scale.
_OMEGA = {"base": (0.6, 1.0), "rise": (1.0, 1.5), "delay": (1.0, 2.0)}


def _parameter(name: str, value: Prior | float, unit: str, driver_unit: str) -> str:
    units = {"base": unit, "half": driver_unit, "kout": "1/day", "delay": "day"}
    lines = [
        f'[parameters.{name}]\nmeaning = "{_MEANING[name]}"\nunit = "{units.get(name, "1")}"\nsource = "proposal"'
    ]
    if isinstance(value, Prior):
        centre, spread = ("mean", "sd") if value.dist == "normal" else ("median", "sigma")
        prior = f'{{ dist = "{value.dist}", {centre} = {value.centre!r}, {spread} = {value.spread!r} }}'
        lines.append(f"typical = {value.centre!r}\nprior = {prior}")
        if name in _OMEGA:
            lines.append("omega = {}\nomega_prior = {}".format(*_OMEGA[name]))
    else:
        lines.append(f"typical = {float(value)!r}\nfixed = true")
    return "\n".join(lines)


def _bend(j: int) -> str:
    """Change of slope at a knot; flat after the last."""
    if j == 0:
        return "m_0"
    return f"m_{j} - m_{j - 1}" if j < N_KNOTS - 1 else f"0 - m_{j - 1}"


def _response(block: bool) -> list[str]:
    """Lines of derived values and the closed form; u is the time on the driver's clock."""
    if not block:
        return ['u = "t - delay"', *_filtered("r", "u", "kout"),
                '[closed_form]\nlevel = "base * (1 + rise * r)"']  # fmt: skip
    return [
        'after = "maximum(t - toci, 0)"', 'u = "t - delay"', 'then = "u - after"', 'slow = "kout * (1 - block)"',
        'left = "exp(-slow * after)"', *_filtered("r", "then", "kout"), *_filtered("p", "u", "slow"),
        *_filtered("q", "then", "slow"),
        '[closed_form]\nlevel = "base * ((1 + rise * r) * left + (1 - left + rise * (p - left * q)) / (1 - block))"',
    ]  # fmt: skip


def _filtered(name: str, at: str, rate: str) -> list[str]:
    """Response at a time to a step at day 0 and a ramp from every knot on, under loss at a rate."""
    ramps = []
    for j in range(N_KNOTS):
        since = f"maximum({at} - knot_{j}, 0)"
        ramps += [f'{name}_{j} = "{since} - (1 - exp(-{rate} * {since})) / {rate}"']
    total = " + ".join(f"bend_{j} * {name}_{j}" for j in range(N_KNOTS))
    return [*ramps, f'{name} = "s_0 * (1 - exp(-{rate} * maximum({at}, 0))) + {total}"']


def place_knots(time: Floats, driver: Floats, half: float) -> tuple[Floats, Floats]:
    """Knots of a curve, close together where its saturated form bends.

    Parameters
    ----------
    time : ndarray, shape (n_time,)
        Days, from 0 on, evenly spaced.
    driver : ndarray, shape (..., n_time)
        At least 0.
    half : float
        Level at which the effect of the driver may be half of its largest; knots serve a tenth of it as well.

    Returns
    -------
    knots, levels : ndarray, shape (..., N_KNOTS)
        Days, from the first to the last of ``time``, and the driver there.
    """
    flat = driver.reshape(-1, len(time))
    found = np.empty((2, len(flat), N_KNOTS))
    for i, one in enumerate(flat):
        bending = np.max([_bending(one / (scale * half + one), time) for scale in HALVES], axis=0)
        # The constant part keeps a knot every few days where the curve is straight.
        density = bending + 0.15 * bending.mean() + 1e-9
        for _ in range(4):  # a jump is worth a knot in each cell of the grid and no more
            density = np.minimum(density, density.sum() / N_KNOTS)
        share = np.append(0.0, np.cumsum(0.5 * (density[1:] + density[:-1])))
        knots = np.interp(np.linspace(0, share[-1], N_KNOTS), share, time)
        found[:, i] = knots, np.interp(knots, time, one)
    shaped = found.reshape(2, *driver.shape[:-1], N_KNOTS)
    return shaped[0], shaped[1]


def _bending(effect: Floats, time: Floats) -> Floats:
    """Root of the curvature, to which knots for an even error stand in proportion; small effects count relatively."""
    curved = np.abs(np.gradient(np.gradient(effect, time), time))
    return np.asarray(np.sqrt(curved / (effect + 0.1 * effect.max() + 1e-300)))
