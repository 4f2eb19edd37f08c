/* exp, σ and tanh of float without branches, to within two units in the last place, and bfloat16: written so
   that the compiler makes vector code of loops over them. A NaN stays one. */
#pragma once
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* As torch.clamp: to ±bound, which may be infinite. */
INLINE float clip(float x, float bound) { return x < -bound ? -bound : x > bound ? bound : x; }

/* For |x| ≤ 87: x = n ln 2 + r with |r| ≤ ln 2 / 2. Gives 2ⁿ, and exp r − 1 by a polynomial. */
INLINE float reduced_expm1(float x, float *power)
{
    const float magic = 0x1.8p23f; /* adding it rounds to a whole number, which then stands in the last bits */
    float shifted = x * 1.44269504f + magic, n = shifted - magic;
    float r = (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
    float p = 1.9875691e-4f;
    p = p * r + 1.3981999e-3f;
    p = p * r + 8.3334519e-3f;
    p = p * r + 4.1665796e-2f;
    p = p * r + 1.6666665e-1f;
    p = p * r + 5.0000000e-1f;
    uint32_t bits;
    memcpy(&bits, &shifted, 4);
    bits = (bits + 127) << 23; /* magic's other bits are shifted out */
    memcpy(power, &bits, 4);
    return p * r * r + r;
}

/* exp x for x ≤ 87; 0 below −87. */
INLINE float exponential(float x)
{
    float power, p = reduced_expm1(x < -87 ? -87 : x, &power);
    return x < -87 ? 0 : power * p + power;
}

INLINE float sigmoid(float x) { return 1 / (1 + exponential(-clip(x, 87))); }

INLINE float hyperbolic_tangent(float x)
{
    float power, p = reduced_expm1(2 * clip(x, 10), &power), expm1 = power * p + (power - 1);
    return expm1 / (expm1 + 2);
}

INLINE float from_bfloat16(uint16_t x)
{
    uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, 4);
    return y;
}

/* To the nearest, ties to even, as torch. */
INLINE uint16_t to_bfloat16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return x != x ? 0x7fc0 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

/* Element j of an array of float, or of bfloat16. Where `bfloat16` is a constant, no test is left. */
INLINE float load(const void *x, int64_t j, int bfloat16)
{
    return bfloat16 ? from_bfloat16(((const uint16_t *)x)[j]) : ((const float *)x)[j];
}

INLINE void store(void *x, int64_t j, float value, int bfloat16)
{
    if (bfloat16)
        ((uint16_t *)x)[j] = to_bfloat16(value);
    else
        ((float *)x)[j] = value;
}

/* Where row `row` of such an array begins. */
INLINE void *row_of(const void *x, int64_t row, int64_t stride, int bfloat16)
{
    return (char *)x + row * stride * (bfloat16 ? 2 : 4);
}
