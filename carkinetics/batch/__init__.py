"""Whole studies: a study file in, a run folder with a report out, and whether it is still as it was."""

from carkinetics.batch.config import StudyConfig, read_study
from carkinetics.batch.run import StudyResult, run_study
from carkinetics.batch.verify import verify_run

__all__ = ["StudyConfig", "StudyResult", "read_study", "run_study", "verify_run"]
