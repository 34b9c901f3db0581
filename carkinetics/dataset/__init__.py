"""What was measured: tables in, one Dataset out, and everything that is wrong with it.

`read_nonmem` turns a long table into a `Dataset` (observations, subjects, doses, events) with days
since the first infusion and one unit per assay; `check` lists all problems at once; `blq_table`
counts what lies below the limit of quantification; `example` reads the data that come along.
"""

from carkinetics.dataset.blq import blq_table
from carkinetics.dataset.check import check
from carkinetics.dataset.example import example
from carkinetics.dataset.read import read_nonmem
from carkinetics.dataset.table import Dataset, load_dataset

__all__ = ["Dataset", "blq_table", "check", "example", "load_dataset", "read_nonmem"]
