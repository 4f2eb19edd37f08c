/* The random numbers of a line, as sampling/noise.py has them: Philox4x64-10 (J. Salmon et al., SC 2011). */
#pragma once
#include "functions.h"
#include <math.h>

INLINE uint64_t high_product(uint64_t a, uint64_t b) { return (unsigned __int128)a * b >> 64; }

/* Words 4 · block to 4 · block + 3 of a line. */
static void philox(const uint64_t key[2], uint64_t block, uint64_t x[4])
{
    const uint64_t p = 0xD2E7470EE14C6C93, q = 0xCA5A826395121157;
    uint64_t k[2] = {key[0], key[1]};
    x[0] = block + 1, x[1] = x[2] = x[3] = 0;
    for (int round = 0; round < 10; round++, k[0] += 0x9E3779B97F4A7C15, k[1] += 0xBB67AE8584CAA73B) {
        uint64_t next[4] = {high_product(q, x[2]) ^ x[1] ^ k[0], q * x[2], high_product(p, x[0]) ^ x[3] ^ k[1],
                            p * x[0]};
        memcpy(x, next, sizeof next);
    }
}

/* Of point t: `race` of M, `z` of 2, and u. */
static void point_noise(const uint64_t key[2], int64_t t, int64_t M, float *race, float *z, float *u)
{
    const double pi = 3.14159265358979323846;
    uint64_t words[4];
    double uniform[M + 3];
    for (int64_t n = 0; n < M + 3; n++) {
        uint64_t word = (uint64_t)t * (M + 3) + n;
        if (n == 0 || word % 4 == 0)
            philox(key, word / 4, words);
        uniform[n] = ((double)(words[word % 4] >> 11) + 0.5) * 0x1p-53;
    }
    for (int64_t m = 0; m < M; m++)
        race[m] = -log(uniform[m]);
    double far = sqrt(-2 * log(uniform[M])), turn = 2 * pi * uniform[M + 1];
    z[0] = far * cos(turn), z[1] = far * sin(turn);
    *u = uniform[M + 2];
}
