/* exp, σ and tanh of float, without branches, so that the compiler makes vector code of loops over them.
   A NaN stays one. */
#pragma once
#include <stdint.h>
#include <string.h>

static inline float clamp(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

/* exp x − 1 for |x| ≤ 87, to within an ulp or two: x = n ln 2 + r, exp x − 1 = 2ⁿ (exp r − 1) + (2ⁿ − 1). */
static inline float expm1_near(float x)
{
    const float magic = 0x1.8p23f; /* adding it rounds to a whole number, which stands in the last bits */
    float shifted = x * 1.44269504f + magic, n = shifted - magic, power;
    float r = (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
    float p = 1.9875691e-4f;
    p = p * r + 1.3981999e-3f;
    p = p * r + 8.3334519e-3f;
    p = p * r + 4.1665796e-2f;
    p = p * r + 1.6666665e-1f;
    p = p * r + 5.0000000e-1f;
    p = p * r * r + r;
    uint32_t bits;
    memcpy(&bits, &shifted, 4);
    bits = (bits + 127) << 23; /* 2ⁿ; what magic has above the last bits is shifted out */
    memcpy(&power, &bits, 4);
    return power * p + (power - 1);
}

static inline float expf_near(float x) { return expm1_near(clamp(x, -87, 87)) + 1; }

static inline float sigmoid(float x) { return 1 / (2 + expm1_near(clamp(-x, -87, 87))); }

static inline float tanh_near(float x)
{
    float e = expm1_near(clamp(2 * x, -30, 30));
    return e / (e + 2);
}
