"""What we think happens: model files, their prediction, and the meaning of a measurement."""

from carkinetics.model.formula import latex
from carkinetics.model.library import layers, load_model, models
from carkinetics.model.parts import Parameter
from carkinetics.model.prior import Prior
from carkinetics.model.simulate import SamplingDesign, simulate
from carkinetics.model.solve import check_values, predict
from carkinetics.model.spec import Model

__all__ = [
    "Model",
    "Parameter",
    "Prior",
    "SamplingDesign",
    "check_values",
    "latex",
    "layers",
    "load_model",
    "models",
    "predict",
    "simulate",
]
