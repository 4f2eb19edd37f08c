/* Products of whole numbers, exact: the same on every machine, whatever vectors it has and in whatever order it adds.
   The caller sees to it that no sum leaves 32 bits. */
#include <stdint.h>

/* sum[s][g] = Σ weight[g][i] x[s][i]; a row of weights is read once for all x. */
void whole_product(int64_t rows, int64_t inputs, int64_t outputs, const int16_t *weight, const int16_t *x, int32_t *sum)
{
    for (int64_t g = 0; g < outputs; g++)
        for (int64_t s = 0; s < rows; s++) {
            const int16_t *w = weight + g * inputs, *y = x + s * inputs;
            int32_t total = 0;
            for (int64_t i = 0; i < inputs; i++)
                total += (int32_t)w[i] * y[i];
            sum[s * outputs + g] = total;
        }
}
