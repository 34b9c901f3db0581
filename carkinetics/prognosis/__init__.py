"""And what will be: one patient from its first samples, the next dose, the days worth sampling."""

from carkinetics.prognosis.best_schedule import BestSchedule, best_schedule
from carkinetics.prognosis.forecast import forecast, forecast_updates
from carkinetics.prognosis.forecasted import Forecast, ForecastUpdates
from carkinetics.prognosis.known import known_population
from carkinetics.prognosis.next_dose import DosePrediction, predict_doses
from carkinetics.prognosis.schedule import ScheduleComparison, compare_schedules

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
