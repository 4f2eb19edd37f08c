import pytest
import torch
from torch.nn.functional import linear as torch_linear

from graves_lm.nn.products import linear, product, recurrent_derivative, repeated_product, weight_derivative


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_product_equals_the_float64_one(dtype):
    generator = torch.Generator().manual_seed(0)
    x, w = (torch.randn(*shape, generator=generator).to(dtype) for shape in ((7, 33), (12, 33)))
    exact = x.double() @ w.double().t()
    tolerance = {torch.float32: 1e-5, torch.float64: 1e-12, torch.bfloat16: 0.1}[dtype]
    torch.testing.assert_close(product(x, w).double(), exact, rtol=0, atol=tolerance)
    columns = w.t().contiguous().t()  # as the backward passes give W
    for got in (
        product(x, columns),
        repeated_product(w, len(x))(x),
        repeated_product(columns, len(x))(x),
        repeated_product(w, 2 * len(x))(x),  # other rows than were said
        weight_derivative(x.t(), w.t()),
    ):
        torch.testing.assert_close(got.double(), exact, rtol=0, atol=tolerance)
        assert got.is_contiguous()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(4, 33), (3, 4, 33)])
def test_linear_and_its_derivatives_equal_torchs_in_float64(shape, bias):
    generator = torch.Generator().manual_seed(0)
    x, w = torch.randn(*shape, generator=generator), torch.randn(12, 33, generator=generator)
    b = torch.randn(12, generator=generator) if bias else None

    def run(function, dtype):
        leaves = [v.to(dtype).requires_grad_() for v in (x, w, b) if v is not None]
        y = function(*leaves)
        weight = torch.linspace(-1, 1, y.numel(), dtype=dtype).view_as(y)
        return y, *torch.autograd.grad((y * weight).sum(), leaves)

    for got, expected in zip(run(linear, torch.float32), run(torch_linear, torch.float64), strict=True):
        torch.testing.assert_close(got.double(), expected, rtol=0, atol=3e-5)


def test_linear_compiles():
    x, w = torch.randn(5, 3, 8, requires_grad=True), torch.randn(4, 8, requires_grad=True)

    def run(x, w):
        return linear(x, w).square().sum()

    compiled = torch.compile(run, backend="aot_eager", fullgraph=True)
    for got, expected in zip(
        torch.autograd.grad(compiled(x, w), (x, w)), torch.autograd.grad(run(x, w), (x, w)), strict=True
    ):
        torch.testing.assert_close(got, expected)


def test_under_autocast_linear_is_torchs_own():
    x, w = torch.randn(5, 8), torch.randn(4, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert linear(x, w).dtype == torch.bfloat16


def test_a_second_derivative_is_refused_and_not_zero():
    x = torch.randn(3, 4, requires_grad=True)
    (first,) = torch.autograd.grad(linear(x, torch.randn(5, 4)).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError):
        first.sum().backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_of_no_rows(dtype):
    x, w = torch.zeros(0, 4, dtype=dtype), torch.randn(5, 4).to(dtype).requires_grad_()
    assert (
        linear(x, w).shape
        == product(x, w.detach()).shape
        == repeated_product(w.detach(), 0)(x).shape
        == (0, 5)
    )
    linear(x, w).sum().backward()
    assert torch.equal(w.grad, torch.zeros(5, 4, dtype=dtype))
    assert torch.equal(weight_derivative(torch.zeros(0, 5, dtype=dtype), x), torch.zeros(5, 4, dtype=dtype))


def test_a_recurrences_derivative_is_the_sum_over_its_steps():
    dz, seen, seen0 = torch.randn(4, 3, 8), torch.randn(4, 3, 5), torch.randn(3, 5)
    before = torch.cat([seen0[None], seen[:-1]])
    for T in (1, 4):
        exact = torch.einsum("tbo,tbi->oi", dz[:T].double(), before[:T].double())
        got = recurrent_derivative(dz[:T], seen[:T], seen0)
        torch.testing.assert_close(got.double(), exact, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [1, 4, 17])
def test_repeated_products_with_a_bias_are_those_of_linear(rows, dtype):
    w_OI, b_O = torch.randn(30, 64, dtype=dtype), torch.randn(30, dtype=dtype)
    times = repeated_product(w_OI, rows, b_O)
    for x_NI in torch.randn(3, rows, 64, dtype=dtype):
        torch.testing.assert_close(times(x_NI), torch.nn.functional.linear(x_NI, w_OI, b_O))
