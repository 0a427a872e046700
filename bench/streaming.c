// A copy that does not read what it overwrites: the ceiling for whatever writes more than the caches hold.

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

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
