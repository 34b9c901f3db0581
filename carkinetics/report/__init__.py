"""Who needs to know: results as one self-contained HTML page."""

from carkinetics.report.build import write_report

__all__ = ["write_report"]
