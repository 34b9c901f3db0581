"""Whole studies: a study file in, a run folder with a report out, whether it is still as it was, and a page over many."""

from carkinetics.batch.asked import StudyConfig
from carkinetics.batch.config import read_study
from carkinetics.batch.index import write_index
from carkinetics.batch.run import StudyResult, run_study
from carkinetics.batch.runs import list_runs
from carkinetics.batch.verify import verify_run

__all__ = ["StudyConfig", "StudyResult", "list_runs", "read_study", "run_study", "verify_run", "write_index"]
