"""The density of the next point over a line, and the mixture weights under it: Figures 10 and 14.

Shapes: T points, M components, (H, W) the grid's cells.
"""

import math

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from torch import Tensor

from graves_lm.distributions import StrokeDistribution
from graves_lm.rendering.colours import heat
from graves_lm.rendering.layout import positions

CONTRAST = 0.4  # a power below 1, or the few sharp predictions would leave the rest black


def density_heatmap(
    distribution: StrokeDistribution, offsets: ArrayLike, width: int = 900, max_cells: int = 20_000
) -> Image.Image:
    """A picture of `width` pixels: above, the densities of all predictions added up; below, the weights π.

    `distribution`, batch (T,), predicts `offsets` (T, 3), each from the point before it, in the same
    units: distribution[t] is what the network says before it sees offsets[t]. Below, time runs to the
    right and each row is a component.
    """
    density_HW = summed_density(distribution, offsets, max_cells)
    above = heat(density_HW**CONTRAST)
    scale = width / above.width
    above = above.resize((width, max(1, round(above.height * scale))), Image.Resampling.BICUBIC)
    below = heat(distribution.pi.detach().float().cpu().numpy().T)
    below = below.resize((width, 4 * below.height), Image.Resampling.BOX)
    picture = Image.new("RGB", (width, above.height + 8 + below.height), "white")
    picture.paste(above)
    picture.paste(below, (0, above.height + 8))
    return picture


@torch.no_grad()
def summed_density(
    distribution: StrokeDistribution, offsets: ArrayLike, max_cells: int = 20_000
) -> NDArray[np.float32]:
    """Σ_t Pr(x at the cell | t), (H, W), on a grid of square cells, `max_cells` at most, around the line.

    A normal narrower than a cell could fall between the cells' centres, so each is widened by a cell's
    variance: the picture shows the density as blurred as its own pixels are.
    """
    xy_T2 = positions(offsets)
    before_T2 = np.concatenate([np.zeros((1, 2)), xy_T2[:-1]])
    low, high = xy_T2.min(0), xy_T2.max(0)
    margin = 0.3 * np.ptp(xy_T2, axis=0).min() + 0.02 * np.ptp(xy_T2, axis=0).max() or 1.0
    low, high = low - margin, high + margin
    cell = float(np.sqrt((high - low).prod() / max_cells))
    W, H = (max(1, int(v)) for v in (high - low) / cell)
    x_W = torch.from_numpy(low[0] + (np.arange(W) + 0.5) * cell).float()
    y_H = torch.from_numpy(low[1] + (np.arange(H) + 0.5) * cell).float()

    mean_TM2 = (distribution.mu.cpu() + torch.from_numpy(before_T2)[:, None]).float()
    sigma_TM2 = distribution.sigma.cpu().double()  # its fourth power appears below
    # The covariance (a, c; c, b), and its determinant without the difference of large numbers ab - c².
    a_TM, b_TM = (sigma_TM2**2 + cell**2).unbind(-1)
    area_TM = sigma_TM2.prod(-1)
    c_TM = area_TM * distribution.rho.cpu()
    det_TM = cell**2 * (a_TM + b_TM - cell**2) + (area_TM / distribution.rho_hat.cpu().double().cosh()) ** 2
    peak_TM = (distribution.pi.cpu() / (2 * math.pi * det_TM.sqrt())).float()

    total_HW = torch.zeros(H, W)
    step = max(1, 4_000_000 // (H * W * mean_TM2.shape[1]))  # 16 MB for each tensor of a chunk
    for t in range(0, len(xy_T2), step):
        part = slice(t, t + step)

        def column(v_TM: Tensor, part: slice = part) -> Tensor:
            return v_TM[part, :, None].float()

        dx_TMW = x_W - column(mean_TM2[..., 0])
        dy_TMH = y_H - column(mean_TM2[..., 1])
        Z_TMHW = (-2 * column(c_TM / det_TM) * dy_TMH)[..., None] * dx_TMW[..., None, :]
        Z_TMHW += (column(a_TM / det_TM) * dy_TMH**2)[..., None]
        Z_TMHW += (column(b_TM / det_TM) * dx_TMW**2)[..., None, :]
        total_HW += torch.einsum("tm,tmhw->hw", peak_TM[part], Z_TMHW.mul_(-0.5).exp_())
    return total_HW.numpy()
