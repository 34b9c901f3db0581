"""Whole studies: a study file in, a run folder with a report out."""

from carkinetics.batch.config import StudyConfig, read_study
from carkinetics.batch.run import StudyResult, run_study

__all__ = ["StudyConfig", "StudyResult", "read_study", "run_study"]
