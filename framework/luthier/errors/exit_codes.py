"""What the exit code of a command means; the classes of `luthier.errors` say the middle ones."""

from __future__ import annotations

from luthier import errors

MEANINGS: dict[int, str] = {
    0: "It worked; of `plan`: the recipe can run.",
    errors.LuthierError.code: "A bug in luthier; --debug shows where.",
    **{
        kind.code: (kind.__doc__ or "").strip()
        for kind in (
            errors.RecipeError,
            errors.DataError,
            errors.NumericsError,
            errors.ResourceError,
            errors.Refused,
            errors.PluginError,
        )
    },
    130: "Ended by Ctrl+C; a run has saved a checkpoint first.",
    143: "Ended by SIGTERM; a run has saved a checkpoint first.",
}
