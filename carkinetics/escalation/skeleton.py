"""Prior guesses of DLT probabilities for a CRM: looked at, or made so that neighbours are told apart."""

from __future__ import annotations

from itertools import pairwise
from math import exp

from carkinetics.errors import ConfigError, did_you_mean
from carkinetics.escalation.arguments import number, whole
from carkinetics.escalation.crm_curve import MODELS, CurveModel, curve, scaled


def refuse_skeleton(skeleton: tuple[float, ...], design: str, intercept: float | None) -> None:
    """Complain of a skeleton that does not increase, or that the model cannot reach.

    Parameters
    ----------
    skeleton : tuple of float
        DLT probabilities by dose.
    design : str
        Whose they are, for messages.
    intercept : float or None
        That of a logistic model; None for the empiric one.

    Raises
    ------
    ConfigError
        If it cannot be used.
    """
    for before, after in pairwise(skeleton):
        if after <= before:
            raise ConfigError(
                f"{design}: skeleton goes from {before:g} to {after:g}; expected DLT probabilities that increase with dose"
            )
    top = 1.0 if intercept is None else 1 / (1 + exp(-intercept))
    if not 0 < skeleton[0] <= skeleton[-1] < top:
        reason = (
            "" if intercept is None else f", the limit of the logistic model with intercept {intercept:g}"
        )
        raise ConfigError(
            f"{design}: skeleton runs from {skeleton[0]:g} to {skeleton[-1]:g}; expected above 0 and below {top:.4g}{reason}"
        )


def skeleton_for(
    target: float,
    halfwidth: float,
    nu: int,
    n_doses: int,
    *,
    model: CurveModel = "empiric",
    intercept: float = 3.0,
) -> tuple[float, ...]:
    """Skeleton whose doses are told apart where neighbours are ``halfwidth`` below and above the target.

    Parameters
    ----------
    target : float
        DLT probability that is sought.
    halfwidth : float
        Half the width of the indifference interval: a dose with a DLT probability within the target ± this may be
        selected in the long run instead of the right one.
    nu : int
        Number of the dose that is thought to be at the target.
    n_doses : int
        How many doses there are.
    model : {"empiric", "logistic"}
        Shape of the curve, as for `Crm`.
    intercept : float
        Fixed intercept of the logistic model.

    Returns
    -------
    tuple of float
        Prior guess of the DLT probability of each dose.

    Raises
    ------
    ConfigError
        If a number makes no sense.

    Notes
    -----
    At the value of b where a dose is at the target minus the halfwidth, the next one is at the target plus it. On the
    scale of the model doses are therefore a constant factor apart.

    References
    ----------
    .. [1] Lee SM, Cheung YK. Model calibration in the continual reassessment method. Clin Trials 2009;6:227-238.

    Examples
    --------
    >>> [round(p, 3) for p in skeleton_for(0.25, 0.05, nu=3, n_doses=5)]
    [0.084, 0.157, 0.25, 0.355, 0.46]
    """
    for name, value in (("target", target), ("halfwidth", halfwidth), ("intercept", intercept)):
        number(value, name, "skeleton_for")
    whole(n_doses, "n_doses", "skeleton_for")
    whole(nu, "nu", "skeleton_for", most=n_doses)
    if not isinstance(model, str) or model not in MODELS:
        raise ConfigError(f"skeleton_for: model is {model!r}{did_you_mean(str(model), MODELS)}")
    top = 1.0 if model == "empiric" else 1 / (1 + exp(-intercept))
    low, high = target - halfwidth, target + halfwidth
    if not 0 < low < high < top:
        raise ConfigError(
            f"skeleton_for: target {target:g} ± halfwidth {halfwidth:g}; expected within 0 and {top:.4g}, halfwidth above 0"
        )
    factor = scaled(high, model, intercept) / scaled(low, model, intercept)
    x = [scaled(target, model, intercept) * factor ** (level - nu) for level in range(1, n_doses + 1)]
    return tuple(curve(0.0, at, model, intercept) for at in x)
