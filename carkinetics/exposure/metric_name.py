"""What a metric of exposure is called where people read it: ``auc_0_28`` is AUC day 0–28."""

from __future__ import annotations

METRIC_NAMES = {
    "cmax": "Cmax", "tmax": "Tmax", "clast": "Clast", "tlast": "Tlast", "half_life": "half-life",
    "auc_last": "AUC to last quantifiable level", "auc_inf_obs": "AUC to infinity", "auc_inf_pred": "AUC to 20 years",
    "lambda_z": "terminal rate", "persistence": "persistence", "time_to_blq": "time to BLQ", "doubling_time": "doubling time",
    "level": "the level of the day", "auc": "the area so far",  # of an exposure that changes with time
}  # fmt: skip


def metric_name(metric: str) -> str:
    """Name of a metric within a sentence.

    Parameters
    ----------
    metric : str
        For instance ``"auc_0_28"``.

    Returns
    -------
    str
        Without its unit; a metric that has no name, such as a parameter of a model, as it is.

    Examples
    --------
    >>> metric_name("auc_0_28"), metric_name("half_life_fast"), metric_name("foldx")
    ('AUC day 0–28', 'half-life, fast', 'foldx')
    """
    if metric in METRIC_NAMES:
        return METRIC_NAMES[metric]
    if metric.startswith("auc_0_"):
        return f"AUC day 0–{metric.removeprefix('auc_0_')}"
    if metric.startswith("half_life_"):
        return f"half-life, {metric.removeprefix('half_life_').replace('_', ' ')}"
    return metric
