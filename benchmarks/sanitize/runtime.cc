// What instrumented kernels call beside the sanitizer's own runtime. Compiled with -DADDRESS or -DTHREAD, itself not instrumented.
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

extern "C" {
#ifdef ADDRESS
void __asan_loadN_noabort(const void* address, uint64_t bytes);
void __asan_storeN_noabort(const void* address, uint64_t bytes);
void __asan_poison_memory_region(void const volatile* address, size_t bytes);
void __asan_unpoison_memory_region(void const volatile* address, size_t bytes);
#define READS __asan_loadN_noabort
#define WRITES __asan_storeN_noabort
#else
void __tsan_read_range(const void* address, uint64_t bytes);
void __tsan_write_range(const void* address, uint64_t bytes);
#define READS __tsan_read_range
#define WRITES __tsan_write_range
#endif

#define API __attribute__((visibility("default")))

API void minpy_jit_masked(char* address, uint64_t lanes, uint64_t bytes, int32_t writes) {
  for (int k = 0; k < 64; ++k) {
    if (!(lanes >> k & 1)) continue;
    if (writes) {
      WRITES(address + k * bytes, bytes);
    } else {
      READS(address + k * bytes, bytes);
    }
  }
}

// rows of `width` elements each, `step` elements apart
static void rows(const char* address, int32_t count, int32_t width, int32_t step, uint64_t bytes, bool writes) {
  for (int32_t r = 0; r < count; ++r) {
    const char* row = address + static_cast<int64_t>(r) * step * bytes;
    if (writes) {
      WRITES(row, width * bytes);
    } else {
      READS(row, width * bytes);
    }
  }
}

// a product in OpenBLAS, which is not instrumented: all that it may read and write
#define PRODUCT(name, T)                                                                                                            \
  typedef void (*name##_type)(int32_t, int32_t, int32_t, int32_t, int32_t, int32_t, T, const T*, int32_t, const T*, int32_t, T, T*, \
                              int32_t);                                                                                             \
  API name##_type minpy_jit_real_##name = nullptr;                                                                                  \
  API void minpy_jit_checked_##name(int32_t order, int32_t ta, int32_t tb, int32_t m, int32_t n, int32_t k, T alpha, const T* a,    \
                                    int32_t lda, const T* b, int32_t ldb, T beta, T* c, int32_t ldc) {                              \
    const bool at = ta != 111, bt = tb != 111;                                                                                      \
    rows(reinterpret_cast<const char*>(a), at ? k : m, at ? m : k, lda, sizeof(T), false);                                          \
    rows(reinterpret_cast<const char*>(b), bt ? n : k, bt ? k : n, ldb, sizeof(T), false);                                          \
    rows(reinterpret_cast<const char*>(c), m, n, ldc, sizeof(T), true);                                                             \
    minpy_jit_real_##name(order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);                                             \
  }
PRODUCT(sgemm, float)
PRODUCT(dgemm, double)

// a team whose barriers do nothing: for a kernel that needs them, a race (control.py)
static void no_barrier() {}
typedef void (*Kernel)(void** tensors, int64_t thread, int64_t threads, void (*barrier)());
API void minpy_jit_without_barriers(Kernel kernel, void** tensors, int64_t threads) {
  std::vector<std::thread> team;
  for (int64_t k = 0; k < threads; ++k) team.emplace_back(kernel, tensors, k, threads, no_barrier);
  for (std::thread& thread : team) thread.join();
}

#ifdef ADDRESS
// pairs (bytes from the start, bytes): what lies between the buffers of a workspace
API void minpy_jit_poison(char* workspace, const int64_t* gaps, int64_t count) {
  for (int64_t k = 0; k < count; ++k) __asan_poison_memory_region(workspace + gaps[2 * k], gaps[2 * k + 1]);
}
API void minpy_jit_unpoison(char* workspace, const int64_t* gaps, int64_t count) {
  for (int64_t k = 0; k < count; ++k) __asan_unpoison_memory_region(workspace + gaps[2 * k], gaps[2 * k + 1]);
}
#endif
}
