/* The soft window of (46)–(51) at step t, forward and backward. Shapes as in nn/window_lstm.py: B rows, K
   components, U characters, C symbols; a row of p is that of α, β, κ side by side. Rows of hx have F numbers, at
   their end w. Product arrays (hx_product, dw_next) are bfloat16 or float. */
#include "functions.h"

/* p holds α̂, β̂, κ̂ and is made α, β, exp κ̂; κ_t goes to kappa, and w_t to the end of rows of hx. */
void window_forward(int64_t t, int64_t threads, int64_t B, int64_t K, int64_t U, int64_t C, int64_t F,
                    float largest_exponent, const int64_t *symbol, float *p, const float *kappa0, float *kappa,
                    float *hx, uint16_t *hx_product)
{
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t b = 0; b < B; b++) {
        int64_t row = t * B + b;
        float *p_ = p + row * 3 * K, *kappa_ = kappa + row * K, *w = hx + row * F + (F - C), phi[U];
        const float *before = t ? kappa_ - B * K : kappa0 + b * K;
        for (int64_t k = 0; k < 3 * K; k++)
            p_[k] = exponential(p_[k] > largest_exponent ? largest_exponent : p_[k]);
        memset(phi, 0, sizeof phi);
        for (int64_t k = 0; k < K; k++) {
            float alpha = p_[k], beta = p_[K + k], at = kappa_[k] = before[k] + p_[2 * K + k];
#pragma omp simd
            for (int64_t u = 0; u < U; u++) {
                float d = at - (float)(int32_t)(u + 1);
                phi[u] += alpha * exponential(-beta * (d * d));
            }
        }
        memset(w, 0, C * sizeof *w);
        for (int64_t u = 0; u < U; u++)
            if (symbol[b * U + u] >= 0)
                w[symbol[b * U + u]] += phi[u];
        if (hx_product)
            for (int64_t s = 0; s < C; s++)
                hx_product[b * F + (F - C) + s] = to_bfloat16(w[s]);
    }
}

/* dw is that of w_t from all but step t + 1, which hands back dw_next. dkappa holds what reaches κ_t from later
   steps, and then dκ_t; dkappa_t, which may be null, is the loss's own. Fills dp, the gradients with respect to α̂, β̂, κ̂. */
void window_backward(int64_t t, const float *dw, int64_t dw_stride, const void *dw_next, int64_t dw_next_stride,
                     int64_t threads, int64_t B, int64_t K, int64_t U, int64_t bfloat16, const int64_t *symbol,
                     const float *p, const float *kappa, const float *dkappa_t, float *dkappa, float *dp)
{
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t b = 0; b < B; b++) {
        int64_t row = t * B + b;
        const float *p_ = p + row * 3 * K, *kappa_ = kappa + row * K, *dw_ = dw + b * dw_stride;
        const void *next = row_of(dw_next, b, dw_next_stride, bfloat16);
        float *dp_ = dp + row * 3 * K, *dkappa_ = dkappa + b * K, dphi[U];
        for (int64_t u = 0; u < U; u++) {
            int64_t s = symbol[b * U + u];
            dphi[u] = s < 0 ? 0 : dw_[s] + load(next, s, bfloat16);
        }
        for (int64_t k = 0; k < K; k++) {
            float alpha = p_[k], beta = p_[K + k], at = kappa_[k], sum = 0, sum_d = 0, sum_dd = 0;
#pragma omp simd reduction(+ : sum, sum_d, sum_dd)
            for (int64_t u = 0; u < U; u++) {
                float d = at - (float)(int32_t)(u + 1), term = dphi[u] * exponential(-beta * (d * d));
                sum += term;
                sum_d += term * d;
                sum_dd += term * d * d;
            }
            dkappa_[k] += (dkappa_t ? dkappa_t[row * K + k] : 0) - 2 * alpha * beta * sum_d;
            dp_[k] = alpha * sum;
            dp_[K + k] = -alpha * beta * sum_dd;
            dp_[2 * K + k] = p_[2 * K + k] * dkappa_[k];
        }
    }
}
