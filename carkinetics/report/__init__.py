"""Who needs to know: results as one self-contained HTML page, and what a manuscript needs of them."""

from carkinetics.report.build import write_report
from carkinetics.report.citations import citation
from carkinetics.report.comparison import write_comparison
from carkinetics.report.methods import methods_text, parameter_table

__all__ = ["citation", "methods_text", "parameter_table", "write_comparison", "write_report"]
