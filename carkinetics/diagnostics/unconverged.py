"""Results that say themselves when the fit they rest on did not converge, so that nobody who has them alone is misled."""

from __future__ import annotations

from typing import Any

from carkinetics.diagnostics.diagnose import diagnose
from carkinetics.fit.result import Fit

NOT_CONVERGED = "not converged: do not use these numbers"


class RestsOnFit:
    """What is computed from a fit, with ``settings["converged"]``."""

    settings: dict[str, Any]

    @property
    def converged(self) -> bool | None:
        """Whether the fit converged; None where the result rests on no fit, or on draws that nothing is known of."""
        return self.settings.get("converged")

    @property
    def _kind(self) -> str:
        """Name of the class, for a repr."""
        return type(self).__name__ + (" NOT CONVERGED" if self.converged is False else "")

    def _told(self, statement: str) -> str:
        return f"{NOT_CONVERGED.capitalize()}. {statement}" if self.converged is False else statement


def convergence_of(fit: Fit) -> bool | None:
    """Whether a fit converged.

    Parameters
    ----------
    fit : Fit
        Hierarchical.

    Returns
    -------
    bool or None
        The verdict of `carkinetics.diagnose`; None without any record of the sampler.
    """
    return bool(diagnose(fit).attrs["converged"]) if "sample_stats" in fit.tree else None
