"""The team's dashboard as code: a saved view of a W&B project."""

from typing import Any

from omegaconf import DictConfig

from graves_lm.learning.tracking import has_credentials
from graves_lm.runtime.errors import UserError, first_line, visible

_STEPS = "trainer/global_step"
_TUNED = ("optimizer.lr", "optimizer.clip_norm", "model.network.hidden_size", "model.network.layers")
"""Settings that the comparison of sweeps shows."""


def run(cfg: DictConfig) -> None:
    """Make the view that `cfg` (conf/dashboard.yaml) names, or print what it would hold."""
    if cfg.entity is None:
        raise UserError("give entity=TEAM, the W&B team or user that owns the project")
    try:
        view = workspace(str(cfg.entity), str(cfg.project), str(cfg.name))
    except ImportError as error:
        raise UserError(
            f"the dashboard needs {error.name}, which is not here: pip install 'graves-lm[dashboard]'"
        ) from error
    if cfg.dry_run or not has_credentials():
        why = "" if cfg.dry_run else " (no credentials: `wandb login`, or set WANDB_API_KEY)"
        print(visible(f"would make{why}:\n{summary(view)}", keep="\n"))
        return
    try:
        view.save()
    except Exception as error:  # whatever the server or the network may answer
        raise UserError(f"W&B did not save the view ({first_line(error)}); dry_run=true prints it") from error
    print(visible(f"{summary(view)}\n{view.url}", keep="\n"))


def workspace(entity: str, project: str, name: str) -> Any:
    """The view, as `wandb_workspaces` has it: what `WandbTracker` and the callbacks log, in four sections.

    Panels of metrics that a run does not have stay empty, so one view serves all three tasks.
    """
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

    def curves(title: str, *names: str, log_y: bool = False) -> Any:
        return wr.LinePlot(title=title, x=_STEPS, y=list(names), log_y=log_y)

    def pictures(title: str, name: str) -> Any:
        return wr.MediaBrowser(title=title, media_keys=[f"samples/{name}"], num_columns=1)

    def comparison(title: str, figure: str) -> Any:
        settings = [wr.ParallelCoordinatesPlotColumn(metric=wr.Config(setting)) for setting in _TUNED]
        best = wr.ParallelCoordinatesPlotColumn(metric=wr.SummaryMetric(f"{figure}.min"), display_name=figure)
        return wr.ParallelCoordinatesPlot(title=title, columns=[*settings, best])

    sections = {
        "Validation": [
            curves("Bits per character", "val/bpc"),
            curves("Nats per line", "val/nll_per_line"),
            curves("Squared error per point", "val/sse"),
            curves("Share of lines read to the end", "val/read_to_end"),
            wr.ScalarChart(title="Best bits per character", metric=wr.SummaryMetric("val/bpc.min")),
            wr.ScalarChart(title="Best nats per line", metric=wr.SummaryMetric("val/nll_per_line.min")),
        ],
        "Training": [
            curves("Bits per character", "train/bpc"),
            curves("Nats per point", "train/nll_per_point"),
            curves("Learning rate", "train/lr"),
            curves("Gradient norm, before its bound", "train/gradient_norm", log_y=True),
            curves("Share of clipped gradients", "train/clipped_share"),
            curves("Useful symbols per second", "train/symbols_per_second"),
            curves("Useful points per second", "train/points_per_second"),
        ],
        "Samples": [
            wr.WeavePanelSummaryTable(table_name="samples/text"),
            pictures("Handwriting", "handwriting"),
            pictures("Neater with more bias", "biases"),
            pictures("In the style of a line", "primed"),
            pictures("Densities along a line", "density"),
            pictures("Where the window was", "window"),
        ],
        "Sweeps": [
            comparison("Settings and bits per character", "val/bpc"),
            comparison("Settings and nats per line", "val/nll_per_line"),
            wr.ParameterImportancePlot(with_respect_to="val/bpc.min"),
            wr.ParameterImportancePlot(with_respect_to="val/nll_per_line.min"),
        ],
    }
    return ws.Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=[ws.Section(name=title, panels=panels, is_open=True) for title, panels in sections.items()],
        settings=ws.WorkspaceSettings(x_axis=_STEPS),
    )


def summary(view: Any) -> str:
    """What a view holds, a line for each panel."""
    lines = [f"view '{view.name}' of {view.entity}/{view.project}"]
    for section in view.sections:
        lines.append(f"  {section.name}")
        for panel in section.panels:
            lines.append(f"    {type(panel).__name__}: {_subject(panel)}")
    return "\n".join(lines)


def _subject(panel: Any) -> str:
    """A panel's title and what it shows."""
    shown: list[str] = [
        *getattr(panel, "media_keys", ()),
        *(getattr(y, "name", y) for y in getattr(panel, "y", None) or ()),
        *(getattr(c.metric, "name", str(c.metric)) for c in getattr(panel, "columns", ())),
    ]
    for name in ("table_name", "with_respect_to", "metric"):
        if value := getattr(panel, name, None):
            shown.append(getattr(value, "name", value))
    title = getattr(panel, "title", None)
    return f"{title} ({', '.join(shown)})" if title else ", ".join(shown)
