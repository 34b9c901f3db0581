"""What an exposure-response analysis is asked: an outcome or the time to an event, an exposure, what to adjust for."""

from __future__ import annotations

import numbers
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from carkinetics.errors import ConfigError

LOG = re.compile(r"log\(\s*([\w.]+)\s*\)")
# Names of coefficients and columns of results.
_TAKEN = frozenset(
    (
        "intercept",
        "slope",
        "ec50",
        "log_ec50",
        "rate",
        "shape",
        "dispersion",
        "residual_sd",
        "exposure_draw",
        "outcome",
    )
)


@dataclass(frozen=True)
class Question:
    """An outcome, or the time to an event, on exposure.

    Parameters
    ----------
    outcome : str
        A comparison over the columns of the subjects, or a column; empty for a time to an event.
    duration, event : str
        Columns with days to the event or to censoring, and 1 or 0 for which; empty for an outcome.
    on : str
        A metric or its logarithm.
    adjust : tuple of str
        Texts over the columns of the subjects.
    onset : str or None
        Column with the day of an outcome; None to look for one, empty not to check.
    landmark : float or None
        Day from which on an event counts.
    label : str
        What the outcome is called; its expression if `of` is not given a label.
    """

    outcome: str = ""
    duration: str = ""
    event: str = ""
    on: str = "log(cmax)"
    adjust: tuple[str, ...] = ()
    onset: str | None = None
    landmark: float | None = None
    label: str = ""

    @classmethod
    def of(cls, *, adjust: str | Iterable[str] = (), label: str = "", **parts: object) -> Question:
        """Check that the parts go together.

        Parameters
        ----------
        adjust : str or iterable of str
            One text or several.
        label : str
            What the outcome is called in results.
        **parts
            The other fields.

        Returns
        -------
        Question
            As asked.

        Raises
        ------
        ConfigError
            If neither or both kinds of outcome are given, a landmark for an outcome without a time, or a label that is no text.
        """
        texts = ([adjust] if adjust else []) if isinstance(adjust, str) else list(adjust or ())
        question = cls(adjust=tuple(dict.fromkeys(texts)), **parts)  # type: ignore[arg-type]
        timed = bool(question.duration and question.event)
        if bool(question.outcome.strip()) == timed or (
            question.outcome and (question.duration or question.event)
        ):
            raise ConfigError("give either outcome, or duration and event")
        for text in question.adjust:
            if text in _TAKEN or text.startswith(("cut[", "rate[")):
                raise ConfigError(f"adjust: {text} is the name of a coefficient; rename the column")
        if question.landmark is not None and not (
            isinstance(question.landmark, numbers.Real) and np.isfinite(question.landmark)
        ):
            raise ConfigError(f"landmark is {question.landmark!r}; expected a day")
        if question.landmark is not None and question.outcome:
            raise ConfigError(
                "landmark counts the time of an event from a day on; an outcome without a time has none: leave out who had it by then"
            )
        return replace(question, label=checked_label(label) or question.expression)

    @property
    def metric(self) -> str:
        """The metric of exposure, without its logarithm."""
        return split_predictor(self.on)[0]

    @property
    def log(self) -> bool:
        """Whether its logarithm is taken."""
        return split_predictor(self.on)[1]

    @property
    def expression(self) -> str:
        """What defines the outcome."""
        return self.outcome or f"{self.event} after {self.duration}"


def checked_label(label: str) -> str:
    """Read what an outcome is to be called.

    Parameters
    ----------
    label : str
        As given; empty for none.

    Returns
    -------
    str
        In one line.

    Raises
    ------
    ConfigError
        If it is no text.
    """
    if not isinstance(label, str):
        raise ConfigError(f"label is {label!r}; expected a text, such as 'objective response'")
    return " ".join(label.split())


def split_predictor(on: str) -> tuple[str, bool]:
    """Read a predictor.

    Parameters
    ----------
    on : str
        ``"log(metric)"`` or a metric.

    Returns
    -------
    tuple of (str, bool)
        The metric, and whether its logarithm is taken.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    match = LOG.fullmatch(on.strip())
    if match:
        return match[1], True
    if not re.fullmatch(r"[\w.]+", on.strip()):
        raise ConfigError(f"on is {on!r}; expected a metric, such as 'cmax', or its logarithm, 'log(cmax)'")
    return on.strip(), False
