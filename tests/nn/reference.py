"""Independent statements of the paper's equations for the tests: one step at a time, autograd only."""

import torch


def lstm_by_steps(x, h, c, p, clip=None):
    """(7)–(11) as printed, one named weight per term of the paper; `clip` by a hook on every step's
    pre-activation. x: (T, B, I). Returns the list of h and the last (h, c)."""
    hook = (lambda grad: grad.clamp(-clip, clip)) if clip is not None else None
    hs = []
    for x_t in x:
        a_i = x_t @ p["W_xi"].T + h @ p["W_hi"].T + p["W_ci"] * c + p["b_i"]
        a_f = x_t @ p["W_xf"].T + h @ p["W_hf"].T + p["W_cf"] * c + p["b_f"]
        a_c = x_t @ p["W_xc"].T + h @ p["W_hc"].T + p["b_c"]
        if hook:
            for a in (a_i, a_f, a_c):
                a.register_hook(hook)
        c = torch.sigmoid(a_f) * c + torch.sigmoid(a_i) * torch.tanh(a_c)
        a_o = x_t @ p["W_xo"].T + h @ p["W_ho"].T + p["W_co"] * c + p["b_o"]
        if hook:
            a_o.register_hook(hook)
        h = torch.sigmoid(a_o) * torch.tanh(c)
        hs.append(h)
    return hs, (h, c)


def lstm_parameters(inputs, hidden, generator, dtype=torch.float64, scale=0.6):
    """Random leaves under the paper's names."""

    def draw(*shape):
        return (scale * torch.randn(*shape, dtype=dtype, generator=generator)).requires_grad_()

    p = {f"W_x{g}": draw(hidden, inputs) for g in "ifco"}
    p |= {f"W_h{g}": draw(hidden, hidden) for g in "ifco"}
    p |= {f"W_c{g}": draw(hidden) for g in "ifo"}
    return p | {f"b_{g}": draw(hidden) for g in "ifco"}
