"""What would we do next: what the next samples, the next dose and the next trial would bring."""

from carkinetics.trial.forecast import Forecast, ForecastUpdates, forecast, forecast_updates
from carkinetics.trial.known import known_population

__all__ = ["Forecast", "ForecastUpdates", "forecast", "forecast_updates", "known_population"]
