"""The sweeper of `sweep=…`. Hydra looks for plugins in the namespace `hydra_plugins` alone, and imports all
that are there whenever it starts: nothing heavy is imported here, and the work is in `graves_lm.sweeps`."""

from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class StudySweeper(Sweeper):
    """Runs a study; its settings are those of conf/hydra/sweeper/study.yaml."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        try:
            from graves_lm.sweeps.trials import run_trials
        except ModuleNotFoundError as error:
            if error.name != "optuna":
                raise
            from graves_lm.runtime.errors import UserError

            raise UserError("sweep= needs Optuna: pip install 'graves-lm[sweep]'") from error
        run_trials(self, arguments, **self.settings)
