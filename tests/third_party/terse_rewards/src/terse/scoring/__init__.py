from .density import Density as Density
