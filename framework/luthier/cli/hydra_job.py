"""The function that Hydra calls for each job of a recipe: the run in this process, a job of a sweep in its own."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from luthier.disk.redaction import redact_text
from luthier.errors import LuthierError
from luthier.errors.interrupted import Interrupted
from luthier.plugins.exits import exit_of_a_part

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from luthier.config.compose import Composition
    from luthier.plugins.registry import Plugins
    from luthier.reporting.console import Console

log = logging.getLogger("luthier")


@dataclass(frozen=True)
class HydraJob:
    """Carries out the run of `composition`, which is None in a sweep: each of its jobs is composed in its own process.

    `flags` are luthier's flags for another process of the same job. `finished` collects (folder, score, overrides) of
    the jobs of a sweep.
    """

    plugins: Plugins
    console: Console
    flags: Sequence[str]
    composition: Composition | None = None
    finished: list[tuple[str, str, str]] = field(default_factory=list)

    def __call__(self, raw: DictConfig) -> float | None:
        """The score of the job. Ends the process with luthier's own exit code where the run fails."""
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            return self._job_of_sweep()
        return self._run()

    def _job_of_sweep(self) -> float | None:
        from luthier.workflows.sweeps.jobs import PRUNED, run_job

        hydra = HydraConfig.get()
        timeout, pruner = hydra.sweeper.get("timeout"), hydra.sweeper.get("pruner") or "none"
        trial = {"sweep": os.path.abspath(hydra.sweep.dir), "number": int(hydra.job.num), "pruner": pruner}
        overrides, folder = list(hydra.overrides.task), hydra.runtime.output_dir
        shown = "failed"
        try:
            score = run_job(self.flags, overrides, folder, timeout=timeout, trial=trial if pruner != "none" else None)
            shown = "none" if score is None else f"{score:.6g}"
            return score
        except LuthierError:
            if os.path.exists(os.path.join(folder, PRUNED)):
                shown = "pruned"
            raise
        finally:
            self.finished.append((os.path.relpath(folder), shown, " ".join(overrides)))

    def _run(self) -> float | None:
        from luthier.workflows.job import carry_out

        assert self.composition is not None, "a run is composed before Hydra sets it up"
        try:
            folder = HydraConfig.get().runtime.output_dir
            return carry_out(self.composition, folder, self.plugins, self.console, list(self.flags))
        except (LuthierError, Interrupted) as error:
            _log(error)
            raise SystemExit(self.console.error(error)) from error
        except KeyboardInterrupt as error:
            raise SystemExit(130) from error
        except SystemExit as error:  # of a part that is made, or of a plugin around the run
            _log(error)
            raise SystemExit(self.console.error(exit_of_a_part(error))) from error
        except Exception as error:
            _log(error)
            raise


def _log(error: BaseException) -> None:
    """Write an error with its traceback into the run's log, where Hydra opened one."""
    log.error("%s", redact_text("".join(traceback.format_exception(error))))
