// Ceilings for whatever reads or writes more than the caches hold.

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

// A copy that does not read what it overwrites.
static void copy_part(char *to, const char *from, size_t bytes) {
#ifdef __SSE2__
  size_t head = (size_t)(-(uintptr_t)to & 63);
  if (head > bytes) head = bytes;
  memcpy(to, from, head);
  size_t i = head;
  for (; i + 64 <= bytes; i += 64) {
    for (size_t k = 0; k < 64; k += 16) {
      _mm_stream_ps((float *)(to + i + k), _mm_loadu_ps((const float *)(from + i + k)));
    }
  }
  memcpy(to + i, from + i, bytes - i);
  _mm_sfence();
#else
  memcpy(to, from, bytes);
#endif
}

void streaming_copy(char *to, const char *from, size_t bytes, int threads) {
  size_t part = (bytes / (size_t)threads + 64) & ~(size_t)63;
#pragma omp parallel for num_threads(threads)
  for (int k = 0; k < threads; k++) {
    size_t start = part * (size_t)k;
    if (start < bytes) {
      copy_part(to + start, from + start, bytes - start < part ? bytes - start : part);
    }
  }
}

// A cache line, wherever it begins.
typedef uint64_t Line __attribute__((vector_size(64), aligned(1), may_alias));

// A read: the exclusive or of all lines, in two strands.
uint64_t streaming_read(const char *from, size_t bytes) {
  Line even = {0}, odd = {0};
  for (size_t i = 0; i + 2 * sizeof(Line) <= bytes; i += 2 * sizeof(Line)) {
    even ^= *(const Line *)(from + i);
    odd ^= *(const Line *)(from + i + sizeof(Line));
  }
  even ^= odd;
  return even[0] ^ even[1] ^ even[2] ^ even[3] ^ even[4] ^ even[5] ^ even[6] ^ even[7];
}

// A read and a write in place: every bit is turned over.
void streaming_pass(char *at, size_t bytes) {
  for (size_t i = 0; i + sizeof(Line) <= bytes; i += sizeof(Line)) *(Line *)(at + i) = ~*(Line *)(at + i);
}
