"""The settings of other libraries' classes that conf/ names, and of the groups that are no class: declared
here as functions, since their own signatures say less or nothing."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from msgspec import Meta

from graves_lm.settings.kinds import (
    Bias,
    Count,
    CountOrNone,
    Device,
    Few,
    Fields,
    Hand,
    Lines,
    Name,
    NonNegative,
    Number,
    OnUnknown,
    Place,
    Places,
    Positive,
    ProperShare,
    Rate,
    Rows,
    ShareBelowOne,
    Steps,
    Weights,
    Width,
)

Devices = Annotated[int, Meta(ge=-1, le=1024)]
Limit = Annotated[int, Meta(ge=-1, le=10**12)]
BatchesOrShare = Annotated[int, Meta(ge=1, le=10**9)] | Annotated[float, Meta(gt=0, le=1)]
AnyBatchesOrShare = Annotated[int, Meta(ge=0, le=10**9)] | Annotated[float, Meta(ge=0, le=1)]
Duration = Annotated[
    str,
    Meta(pattern=r"^\d{2,3}:\d{2}:\d{2}:\d{2}\Z", description='a time such as "00:12:30:00" (days first)'),
]
Betas = tuple[ShareBelowOne, ShareBelowOne]


def trainer(
    accelerator: Name,
    devices: Devices | Literal["auto"] | list[Annotated[int, Meta(ge=0, le=1024)]],
    num_nodes: Annotated[int, Meta(ge=1, le=10_000)],
    strategy: Name,
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "64-true", "bf16-true", "16-true", "32", 32],
    max_steps: Limit,
    min_steps: CountOrNone | None,
    max_epochs: Limit | None,
    min_epochs: CountOrNone | None,
    max_time: Duration | None,
    val_check_interval: BatchesOrShare | None,
    check_val_every_n_epoch: Count | None,
    accumulate_grad_batches: Count,
    log_every_n_steps: CountOrNone,
    deterministic: bool | Literal["warn"] | None,
    num_sanity_val_steps: Limit,
    enable_model_summary: bool,
    enable_progress_bar: bool,
    enable_checkpointing: bool,
    limit_train_batches: BatchesOrShare | None,
    limit_val_batches: BatchesOrShare | None,
    limit_test_batches: BatchesOrShare | None,
    limit_predict_batches: BatchesOrShare | None,
    overfit_batches: AnyBatchesOrShare,
    use_distributed_sampler: bool,
    detect_anomaly: bool,
    benchmark: bool | None,
    inference_mode: bool,
    sync_batchnorm: bool,
    gradient_clip_val: None,
) -> None: ...


def task(recompute: Count | None) -> None: ...


def adamw(
    lr: Rate,
    betas: Betas,
    eps: NonNegative,
    weight_decay: NonNegative,
    amsgrad: bool,
    foreach: bool | None,
    fused: bool | None,
) -> None: ...


def sgd(
    lr: Rate,
    momentum: ShareBelowOne,
    dampening: ShareBelowOne,
    weight_decay: NonNegative,
    nesterov: bool,
    foreach: bool | None,
    fused: bool | None,
) -> None: ...


def weight_noise(std: Positive) -> None: ...


def adaptive_noise(
    std: Positive,
    speed: Positive,
    gradient: Literal["sampled", "squared"],
    share: ShareBelowOne,
    of: list[Name],
) -> None: ...


def dropped_weights(share: ShareBelowOne, of: list[Name]) -> None: ...


def early_stopping(
    monitor: Name,
    patience: CountOrNone,
    min_delta: Number,
    mode: Literal["min"],
    strict: bool,
    check_finite: bool,
    stopping_threshold: Number | None,
    divergence_threshold: Number | None,
) -> None: ...


def ema(
    decay: ProperShare,
    use_buffers: bool,
    update_every_n_steps: Count,
    update_starting_at_step: CountOrNone | None,
) -> None: ...


def dynamic(segment: Steps, streams: Rows) -> None: ...


OTHERS: dict[str, Callable[..., Any]] = {
    "lightning.pytorch.Trainer": trainer,
    "graves_lm.learning.callbacks.early_stopping.EarlyStopping": early_stopping,
    "lightning.pytorch.callbacks.EMAWeightAveraging": ema,
    "torch.optim.AdamW": adamw,
    "torch.optim.SGD": sgd,
    "graves_lm.nn.noise.WeightNoise": weight_noise,
    "graves_lm.nn.noise.AdaptiveWeightNoise": adaptive_noise,
    "graves_lm.nn.noise.DroppedWeights": dropped_weights,
}
"""By `_target_`. The mathematics in nn/ imports torch alone, so its settings stand here too."""


def train(
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)],
    run_dir: Place,
    name: Name,
    monitor: Name,
    resume: Place | None,
    init: Places | None,
    checkpoint_every: Count,
    budget: Count | None,
    licence: Name | None,
) -> None: ...


def evaluate(
    ckpt: Place | None,
    split: Name | None,
    pictures: bool,
    samples: bool,
    sentences: Annotated[int, Meta(ge=1, le=100_000)],
    texts: Place | None,
    biases: Annotated[list[Bias], Meta(min_length=1, max_length=20)],
    reader: Place | None,
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)],
    precision: Literal["32-true", "bf16-mixed"],
    run_dir: Place,
) -> None: ...


def sample(
    ckpt: Place | None,
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)],
    device: Device,
    output: Place | None,
    prompt: str,
    text: str,
    text_file: Place | None,
    template: Place | None,
    fields: Fields,
    table: Place | None,
    lines: Lines | None,
    hands: Few | None,
    pictures: bool,
    on_unknown: OnUnknown,
    markdown: bool | None,
    hyphenate: Name | None,
    width: Width | None,
    hand: Hand | None,
    hands_dir: Place,
    one_hand: bool,
    run_dir: Place,
) -> None: ...


def compare(dir: Place | None, metric: Name | None, output: Place | None) -> None: ...


def page(
    ckpt: Place,
    output: Place,
    weights: Weights,
    serve: bool,
    port: Annotated[int, Meta(ge=0, le=65535)],
) -> None: ...


def serve(
    ckpt: Place | None,
    host: Name,
    port: Annotated[int, Meta(ge=0, le=65535)],
    token: Annotated[str, Meta(min_length=8, max_length=1000)] | None,
    hand: Annotated[int, Meta(ge=1, le=10_000)] | None,
    longest: Annotated[int, Meta(ge=1, le=100_000)],
    waiting: Annotated[int, Meta(ge=1, le=10_000)],
    seconds: Annotated[float, Meta(ge=1, le=86_400)],
) -> None: ...


def prompts(
    count: Annotated[int, Meta(ge=1, le=10_000)],
    characters: Annotated[str, Meta(max_length=4096)],
    output: Place | None,
) -> None: ...


def hands(
    text: str,
    hands_dir: Place,
    ckpt: Place | None,
    output: Place | None,
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)],
) -> None: ...


def compress(
    file: Place | None,
    output: Place | None,
    ckpt: Place,
    streams: Annotated[int, Meta(ge=1, le=1024)],
    counts: Annotated[int, Meta(ge=0, le=8)],
    layers: Annotated[int, Meta(ge=1, le=8)],
    hidden_size: Annotated[int, Meta(ge=1, le=2048)],
) -> None: ...


def decompress(file: Place | None, output: Place | None, ckpt: Place) -> None: ...


def dashboard(entity: Name | None, project: Name, name: Name, dry_run: bool) -> None: ...


def prepare() -> None: ...


COMMANDS: dict[str, Callable[..., Any]] = {
    command.__name__: command
    for command in (
        train,
        evaluate,
        sample,
        hands,
        page,
        prompts,
        serve,
        compress,
        decompress,
        prepare,
        compare,
        dashboard,
    )
}
"""The settings of each command that stand in no group."""

RENAMED: dict[str, dict[str, str]] = {
    "train": {
        "ckpt": "resume= goes on with a run, init= begins a new one with a checkpoint's weights",
        "weights": "it is init=",
    }
}
"""Settings that a command no longer has, and what to give instead."""

GROUPS: dict[str, Callable[..., Any]] = {"dynamic": dynamic}
"""The settings of groups that name no class."""

NEEDED: dict[str, tuple[str, ...]] = {
    "train": ("model", "data", "optimizer", "sampler", "trainer", "callbacks"),
    "evaluate": ("data", "sampler", "trainer"),
    "sample": ("data", "sampler", "page"),
    "serve": ("sampler",),
    "prepare": ("data",),
}
"""The groups that a command cannot do without."""
