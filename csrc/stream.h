/* Copies from a block in L1 to memory past the caches, which saves reading what is about to be overwritten. An isa_*.c that
 * has such a store of a float32 vector names it STREAM. */
enum {
  LINE = 64, /* bytes of a cache line */
  TRIALS = 4 /* pieces by which a call finds out whether this pays */
};

#ifdef STREAM
enum { CAN_STREAM = 1 };

/* The parts of cache lines at the ends are written as usual. */
static NOINLINE void CAT(stream, ISA)(char *to, const char *from, size_t n) {
  size_t head = -(uintptr_t)to % LINE, done = head < n ? head : n;
  memcpy(to, from, done);
  for (; n - done >= LINE; done += LINE)
    for (size_t k = done; k < done + LINE; k += sizeof(V)) STREAM((float *)(to + k), vload((const float *)(from + k)));
  memcpy(to + done, from + done, n - done);
}

/* Other threads may see streamed stores out of order until a fence. */
static INLINE void CAT(stream_end, ISA)(void) { _mm_sfence(); }
static INLINE uint64_t CAT(stream_clock, ISA)(void) { return __builtin_ia32_rdtsc(); }

/* Asks for n bytes to be brought into L2, wherever they are: nothing happens where nothing is. */
static INLINE void CAT(fetch, ISA)(uintptr_t from, size_t n) {
  for (uintptr_t end = from + n; from < end; from += LINE) _mm_prefetch((const char *)from, _MM_HINT_T1);
}
#else
enum { CAN_STREAM = 0 };
static INLINE void CAT(stream, ISA)(char *to, const char *from, size_t n) { memcpy(to, from, n); }
static INLINE void CAT(stream_end, ISA)(void) {}
static INLINE uint64_t CAT(stream_clock, ISA)(void) { return 0; }
static INLINE void CAT(fetch, ISA)(uintptr_t from, size_t n) { (void)from, (void)n; }
#endif

#define stream CAT(stream, ISA)
#define stream_end CAT(stream_end, ISA)
#define stream_clock CAT(stream_clock, ISA)
#define fetch CAT(fetch, ISA)
