"""What would we do next: what the next samples, the next dose and the next trial would bring."""

from carkinetics.trial.best_schedule import BestSchedule, best_schedule
from carkinetics.trial.forecast import Forecast, ForecastUpdates, forecast, forecast_updates
from carkinetics.trial.known import known_population
from carkinetics.trial.next_dose import DosePrediction, predict_doses
from carkinetics.trial.schedule import ScheduleComparison, compare_schedules

__all__ = [
    "BestSchedule",
    "DosePrediction",
    "Forecast",
    "ForecastUpdates",
    "ScheduleComparison",
    "best_schedule",
    "compare_schedules",
    "forecast",
    "forecast_updates",
    "known_population",
    "predict_doses",
]
