/* Counts of what followed contexts, the longest match, and their mixture with a network's prediction:
   compression/counts.py says what they are, compression/plain_counts.py the same in numpy. All sums are in the order
   in which they stand, by one thread, and no product is fused with a sum: the same to the last bit for encoder and
   decoder, on every machine, and in numpy. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif
#include "doubles.h"
#include <math.h>
#include <stddef.h>
#include <stdint.h>

enum { BYTES = 256, PLACES = 16, MOST = 10 /* contexts */, INPUTS = 3 + 2 + 2 /* orders, words, network and match */ };

typedef struct {
    int64_t streams, orders, contexts, rows, ring, table, shortest, longest, full;
    int64_t input[3];
    double discount, concentration, rate;
    uint8_t *symbol, *count, *check;          /* (rows, PLACES) twice, (rows) */
    double *once;                             /* (BYTES) */
    double *weight, *weight_of_last;          /* (sets, INPUTS), (BYTES, INPUTS) */
    double *hit, *miss;                       /* (longest + 1) */
    uint8_t *history;                         /* (streams, ring) */
    uint32_t *latest;                         /* (table): 1 + the place behind a hash's bytes; 0: none */
    const uint64_t *times;                    /* (orders + 3) */
    uint64_t *last, *words;                   /* (streams, orders), the latest first; (streams, 2) */
    int64_t *next, *place, *length;           /* (streams): where its next byte goes; the match */
    int64_t *row, *set, *said;                /* (streams, contexts), (streams) twice; said: −1 without a match */
    double *odds;                             /* (streams): log odds of what the match says */
    double *log_p, *mixed;                    /* (streams, INPUTS − 1, BYTES), (streams, BYTES) */
} Counts;

static uint64_t scrambled(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t context(const Counts *of, int64_t s, int64_t c, uint64_t *so_far)
{
    const uint64_t *word = of->words + 2 * s, *times = of->times + of->orders;
    if (c < of->orders)
        return *so_far += (of->last[s * of->orders + c] + 1) * of->times[c];
    return c == of->orders ? (word[0] + 1) * times[0] : word[0] * times[1] + (word[1] + 1) * times[2];
}

/* p of a context, from that of the one it goes back to. */
static void interpolate(const Counts *of, int64_t row, const double *below, double *p, double *n, int64_t *kinds)
{
    const uint8_t *count = of->count + row * PLACES, *symbol = of->symbol + row * PLACES;
    double sum = 0;
    int64_t different = 0;
    for (int w = 0; w < PLACES; w++)
        sum += count[w], different += count[w] > 0;
    double over = 1 / (sum + of->concentration), handed_on = (of->discount * different + of->concentration) * over;
    for (int x = 0; x < BYTES; x++)
        p[x] = handed_on * below[x];
    for (int w = 0; w < PLACES; w++)
        if (count[w])
            p[symbol[w]] += (count[w] - of->discount) * over;
    *n = sum, *kinds = different;
}

static void mix(const Counts *of, int64_t s, const double *chance)
{
    double p[MOST][BYTES], first[BYTES], n[MOST], once = 0;
    int64_t kinds[MOST], known = 0;
    for (int x = 0; x < BYTES; x++)
        once += of->once[x];
    for (int x = 0; x < BYTES; x++)
        first[x] = of->once[x] / once;
    uint64_t so_far = 0;
    for (int64_t c = 0; c < of->contexts; c++) {
        uint64_t hash = scrambled(context(of, s, c, &so_far));
        int64_t row = hash & (of->rows - 1);
        uint8_t check = hash >> 40;
        of->row[s * of->contexts + c] = row;
        if (of->check[row] != check) {
            of->check[row] = check;
            for (int w = 0; w < PLACES; w++)
                of->count[row * PLACES + w] = 0;
        }
        int64_t below = c < of->orders ? c - 1 : c == of->orders ? (of->orders > 1 ? 1 : 0) : c - 1;
        interpolate(of, row, below < 0 ? first : p[below], p[c], n + c, kinds + c);
        if (c < of->orders && n[c] > 0)
            known = c + 1;
    }
    double *log_p = of->log_p + s * (INPUTS - 1) * BYTES;
    for (int x = 0; x < BYTES; x++)
        log_p[x] = logarithm(chance[x] > 1e-12 ? chance[x] : 1e-12);
    for (int m = 0; m < INPUTS - 2; m++) {
        const double *from = p[m < 3 ? of->input[m] : of->orders + m - 3];
        for (int x = 0; x < BYTES; x++)
            log_p[(m + 1) * BYTES + x] = logarithm(from[x]);
    }
    int64_t said = -1, length = of->length[s], how_long = 0;
    double odds = 0;
    if (length) {
        said = of->history[of->place[s]];
        double hit = (of->hit[length] + 1) / (of->hit[length] + of->miss[length] + 1.3);
        odds = logarithm(hit * (BYTES - 1) / (1 - hit));
        how_long = length >= 24 ? 3 : length >= 12 ? 2 : 1;
    }
    int64_t top = known ? known - 1 : 0;
    int64_t set = ((known * 3 + (kinds[top] > 1 ? 0 : n[top] > 2 ? 2 : 1)) * 4 + how_long) * INPUTS;
    double weight[INPUTS], *z = of->mixed + s * BYTES, most = -INFINITY, sum = 0;
    for (int m = 0; m < INPUTS; m++)
        weight[m] = of->weight[set + m] + of->weight_of_last[of->last[s * of->orders] * INPUTS + m];
    for (int x = 0; x < BYTES; x++)
        z[x] = 0;
    for (int m = 0; m < INPUTS - 1; m++)
        for (int x = 0; x < BYTES; x++)
            z[x] += weight[m] * log_p[m * BYTES + x];
    if (said >= 0)
        z[said] += weight[INPUTS - 1] * odds;
    for (int x = 0; x < BYTES; x++)
        most = z[x] > most ? z[x] : most;
    for (int x = 0; x < BYTES; x++)
        z[x] = exponential_double(z[x] - most);
    for (int x = 0; x < BYTES; x++)
        sum += z[x];
    for (int x = 0; x < BYTES; x++)
        z[x] /= sum;
    of->set[s] = set, of->said[s] = said, of->odds[s] = odds;
}

static void learn(const Counts *of, int64_t s, int64_t byte)
{
    const double *z = of->mixed + s * BYTES, *log_p = of->log_p + s * (INPUTS - 1) * BYTES;
    double *weight = of->weight + of->set[s], *of_last = of->weight_of_last + of->last[s * of->orders] * INPUTS;
    for (int m = 0; m < INPUTS; m++) {
        double gradient;
        if (m < INPUTS - 1) {
            double mean = 0;
            for (int x = 0; x < BYTES; x++)
                mean += z[x] * log_p[m * BYTES + x];
            gradient = log_p[m * BYTES + byte] - mean;
        } else
            gradient = of->said[s] < 0 ? 0 : of->odds[s] * ((of->said[s] == byte) - z[of->said[s]]);
        weight[m] += of->rate * gradient;
        of_last[m] += of->rate * gradient;
    }
}

/* Count the byte after a context; whether the context knew it. */
static int add(const Counts *of, int64_t row, int64_t byte)
{
    uint8_t *count = of->count + row * PLACES, *symbol = of->symbol + row * PLACES;
    int least = 0;
    for (int w = 0; w < PLACES; w++) {
        if (count[w] && symbol[w] == byte) {
            if (count[w] >= of->full)
                for (int v = 0; v < PLACES; v++)
                    count[v] >>= 1;
            count[w]++;
            return 1;
        }
        if (count[w] < count[least])
            least = w;
    }
    count[least] = 1, symbol[least] = byte;
    return 0;
}

/* The bytes before two places of histories that are equal, `longest` at most. */
static int64_t equal(const Counts *of, int64_t a, int64_t b)
{
    int64_t from_a = a / of->ring * of->ring, from_b = b / of->ring * of->ring, count = 0;
    for (; count < of->longest; count++) {
        int64_t at_a = from_a + ((a - from_a - 1 - count) & (of->ring - 1));
        int64_t at_b = from_b + ((b - from_b - 1 - count) & (of->ring - 1));
        if (of->history[at_a] != of->history[at_b])
            break;
    }
    return count;
}

static void follow(const Counts *of, int64_t s, int64_t byte)
{
    int64_t from = s * of->ring, mask = of->ring - 1, length = of->length[s], place = of->place[s];
    if (length) {
        (of->said[s] == byte ? of->hit : of->miss)[length] += 1;
        if (of->hit[length] + of->miss[length] > 255)
            of->hit[length] /= 2, of->miss[length] /= 2;
        int64_t start = place / of->ring * of->ring;
        place = start + ((place - start + 1) & mask);
        length = of->said[s] == byte ? (length < of->longest ? length + 1 : length) : 0;
    }
    of->history[from + of->next[s]] = byte;
    of->next[s] = (of->next[s] + 1) & mask;
    int64_t here = from + of->next[s];
    uint64_t hash = 0;
    for (int64_t n = 1; n <= of->shortest; n++)
        hash = hash * 0x9e3779b97f4a7c15u + of->history[from + ((of->next[s] - n) & mask)] + 1;
    uint32_t *latest = of->latest + (scrambled(hash) & (of->table - 1));
    if (!length && *latest) {
        place = *latest - 1;
        length = equal(of, place, here);
        if (length < of->shortest)
            length = 0;
    }
    *latest = here + 1;
    if (length && place == place / of->ring * of->ring + of->next[place / of->ring])
        length = 0; /* what comes there is not known yet */
    of->length[s] = length, of->place[s] = place;
}

/* The mixture with chances (streams, BYTES) of the next byte of each stream. */
void counts_mix(Counts *of, const double *chance)
{
    for (int64_t s = 0; s < of->streams; s++)
        mix(of, s, chance + s * BYTES);
}

/* The byte of each of the first `streams` streams that came. */
void counts_update(Counts *of, int64_t streams, const int32_t *bytes)
{
    for (int64_t s = 0; s < streams; s++) {
        int64_t byte = bytes[s], c = of->orders;
        learn(of, s, byte);
        while (c > 0 && !add(of, of->row[s * of->contexts + c - 1], byte))
            c--;
        if (c == 0)
            of->once[byte] += 1;
        for (c = of->orders; c < of->contexts; c++)
            add(of, of->row[s * of->contexts + c], byte);
        follow(of, s, byte);
        uint64_t *last = of->last + s * of->orders, *word = of->words + 2 * s;
        for (c = of->orders - 1; c > 0; c--)
            last[c] = last[c - 1];
        last[0] = byte;
        int64_t letter = byte | 32;
        if ((letter >= 'a' && letter <= 'z') || byte >= 128)
            word[0] = (word[0] + letter + 1) * of->times[of->orders];
        else if (word[0])
            word[1] = word[0], word[0] = 0;
    }
}
