"""Data rules: everything that is wrong, doubtful or worth knowing about a Dataset, at once.

Each rule is one small function from a Dataset to findings; nothing is changed and nothing raised.
An error makes a result wrong, a warning may, a note informs.
"""

import pandas as pd

from carkinetics.dataset.check_design import DESIGN_RULES
from carkinetics.dataset.check_rows import ROW_RULES
from carkinetics.dataset.check_values import VALUE_RULES
from carkinetics.dataset.table import Dataset
from carkinetics.findings import findings_table

RULES = (*ROW_RULES, *VALUE_RULES, *DESIGN_RULES)


def check(data: Dataset) -> pd.DataFrame:
    """Apply every data rule.

    Parameters
    ----------
    data : Dataset
        As read, or simulated.

    Returns
    -------
    pandas.DataFrame
        Columns ``severity, rule, where, message``, worst first; no rows when nothing was found.

    Examples
    --------
    >>> from carkinetics.dataset import read_nonmem
    >>> frame = pd.DataFrame({"ID": [1, 1], "TIME": [7, 14], "DV": [2400, "BLQ"]})
    >>> check(read_nonmem(frame, value_unit="copies/ug")).iloc[0]["rule"]
    'lloq-given'
    """
    return findings_table(finding for rule in RULES for finding in rule(data))
