"""The progress bar."""

from lightning.pytorch.callbacks import TQDMProgressBar

from graves_lm.errors import UserError


class Progress(TQDMProgressBar):
    """Lightning's bar: rate, time left, and the figures logged for it."""

    def __init__(self, refresh_rate: int = 10):
        super().__init__(refresh_rate=refresh_rate)
        if refresh_rate < 1:
            raise UserError(f"callbacks.progress.refresh_rate={refresh_rate}: 1 or more")
