// The region operator: runs one compiled function on the tensors of an MXNet node, on one OpenMP team.
#include <linux/futex.h>
#include <omp.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "mxnet/lib_api.h"
// MXNet's half of the extension interface, which its wheel brings as source
#include "lib_api.cc"

using namespace mxnet::ext;

namespace {

// kernel(tensor addresses, this thread, number of threads, barrier)
typedef void (*Barrier)();
typedef void (*Kernel)(void** tensors, int64_t thread, int64_t threads, Barrier barrier);

// ThreadSanitizer does not see how libgomp's threads begin and end together: we say it
#if defined(__SANITIZE_THREAD__)
extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}
inline void acquired(void* address) { __tsan_acquire(address); }
inline void released(void* address) { __tsan_release(address); }
#else
inline void acquired(void*) {}
inline void released(void*) {}
#endif

// What the threads of one run share. OpenMP's own barrier spins for some 10 ms before it sleeps, which keeps the core from the very thread
// that is waited for where other programs want it, too: with six of them to a core a run with 70 barriers took 2.8 s instead of 16 ms.
struct Team {
  std::atomic<int> sleeping{0};
  alignas(64) std::atomic<int> arrived{0};
  alignas(64) std::atomic<uint32_t> round{0};
  // how many are running, and a bit for each core that one of them has
  std::atomic<int> running{0};
  std::atomic<uint64_t> taken[CPU_SETSIZE / 64] = {};
  char begin = 0, end = 0;
};

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t), "the kernel waits on the word itself");

// of this thread: its team, how many there are, and its core
thread_local Team* team_now = nullptr;
thread_local int team_size = 1;
thread_local int core_now = -1;

// looks at the others, some 25 ns each, before a thread sleeps
const int SPINS = 4000;
// where that was in vain, and other programs compete for this core, it sleeps at once the next times: twice as often each time, and at
// most so often
const int MOST_SLEEPS = 255;
thread_local int sleeps = 0, sleeps_left = 0;
// how often the kernel has put this thread aside for another
thread_local long put_aside = 0;

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

inline uint64_t bit(int core) { return uint64_t(1) << core % 64; }

inline bool is_taken(const Team& team, int core) { return team.taken[core / 64].load(std::memory_order_relaxed) & bit(core); }

// whether the core is this thread's own
bool take(Team& team, int core) {
  if (core < 0 || core >= CPU_SETSIZE || core == core_now) return true;
  if (team.taken[core / 64].fetch_or(bit(core), std::memory_order_relaxed) & bit(core)) return false;
  if (core_now >= 0) team.taken[core_now / 64].fetch_and(~bit(core_now), std::memory_order_relaxed);
  core_now = core;
  return true;
}

// Threads that have slept may wake on one core, and the kernel moves none of them for some milliseconds (least of all on a virtual machine,
// where a core that sleeps counts as busy): two that meet 100 times then take longer than one alone. So who finds its core taken moves to a
// free one, if it may, and may go anywhere afterwards.
void settle(Team& team) {
  if (take(team, sched_getcpu())) return;
  cpu_set_t allowed, free;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  CPU_ZERO(&free);
  for (int k = 0; k < CPU_SETSIZE; ++k) {
    if (CPU_ISSET(k, &allowed) && !is_taken(team, k)) CPU_SET(k, &free);
  }
  // its own of before is free for it
  if (core_now >= 0 && CPU_ISSET(core_now, &allowed)) CPU_SET(core_now, &free);
  if (CPU_COUNT(&free) == 0 || sched_setaffinity(0, sizeof free, &free) != 0) return;
  take(team, sched_getcpu());
  sched_setaffinity(0, sizeof allowed, &allowed);
}

// whether the round was over soon
bool spin(const Team& team, uint32_t round) {
  if (sleeps_left > 0) {
    --sleeps_left;
    return false;
  }
  for (int k = 0; k < SPINS; ++k) {
    if (team.round.load(std::memory_order_acquire) != round) {
      sleeps /= 2;
      return true;
    }
    // who has not begun may be waiting for this very core
    if (k % 256 == 255 && team.running.load(std::memory_order_relaxed) < team_size) sched_yield();
    relax();
  }
  struct rusage usage;
  if (getrusage(RUSAGE_THREAD, &usage) == 0) {
    // not since the last time: the others have more to do, that is all
    sleeps = usage.ru_nivcsw == put_aside ? 0 : sleeps < MOST_SLEEPS / 2 ? 2 * sleeps + 1 : MOST_SLEEPS;
    put_aside = usage.ru_nivcsw;
  }
  sleeps_left = sleeps;
  return false;
}

void team_barrier() {
  if (team_size == 1) return;
  Team& team = *team_now;
  const uint32_t round = team.round.load(std::memory_order_acquire);
  if (team.arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == team_size) {
    team.arrived.store(0, std::memory_order_relaxed);
    team.round.store(round + 1);
    // who is about to sleep has been counted by now, or finds that the round is over
    if (team.sleeping.load() > 0) syscall(SYS_futex, &team.round, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
  } else if (!spin(team, round)) {
    team.sleeping.fetch_add(1);
    while (team.round.load() == round) syscall(SYS_futex, &team.round, FUTEX_WAIT_PRIVATE, round, nullptr, nullptr, 0);
    team.sleeping.fetch_sub(1);
    settle(team);
  }
}

// what it shares with its threads is read before they can have acquired anything
__attribute__((no_sanitize("thread"))) void run_team(Kernel kernel, void** tensors, int threads) {
  Team team;
  released(&team.begin);
#pragma omp parallel num_threads(threads)
  {
    acquired(&team.begin);
    team_now = &team;
    // fewer than asked for, where OpenMP has no more
    team_size = omp_get_num_threads();
    core_now = -1;
    settle(team);
    team.running.fetch_add(1, std::memory_order_relaxed);
    kernel(tensors, omp_get_thread_num(), team_size, team_barrier);
    // they wait for one another here, and not where the parallel region ends
    team_barrier();
    team_now = nullptr;
    team_size = 1;
    released(&team.end);
  }
  acquired(&team.end);
}

struct Result {
  int dtype;
  std::vector<unsigned int> shape;
};

// "0:2,3;6:;" -> dtype 0 of shape (2, 3), dtype 6 of shape ()
std::vector<Result> parse_results(const std::string& text) {
  std::vector<Result> found;
  const char* at = text.c_str();
  while (*at) {
    Result result;
    char* end;
    result.dtype = static_cast<int>(std::strtol(at, &end, 10));
    at = end + 1;
    while (*at != ';') {
      result.shape.push_back(static_cast<unsigned int>(std::strtoul(at, &end, 10)));
      at = *end == ',' ? end + 1 : end;
    }
    ++at;
    found.push_back(result);
  }
  return found;
}

const std::string& attribute(const std::unordered_map<std::string, std::string>& attributes, const char* name) {
  return attributes.find(name)->second;
}

MXReturnValue parse_attributes(const std::unordered_map<std::string, std::string>& attributes, int* inputs, int* outputs) {
  *inputs = std::atoi(attribute(attributes, "inputs").c_str());
  *outputs = static_cast<int>(parse_results(attribute(attributes, "results")).size());
  return MX_SUCCESS;
}

MXReturnValue infer_type(const std::unordered_map<std::string, std::string>& attributes, std::vector<int>* in, std::vector<int>* out) {
  std::vector<Result> results = parse_results(attribute(attributes, "results"));
  for (size_t k = 0; k < results.size(); ++k) (*out)[k] = results[k].dtype;
  return MX_SUCCESS;
}

MXReturnValue infer_shape(const std::unordered_map<std::string, std::string>& attributes,
                          std::vector<std::vector<unsigned int>>* in, std::vector<std::vector<unsigned int>>* out) {
  std::vector<Result> results = parse_results(attribute(attributes, "results"));
  for (size_t k = 0; k < results.size(); ++k) (*out)[k] = results[k].shape;
  return MX_SUCCESS;
}

template <typename T>
T pointer_attribute(const std::unordered_map<std::string, std::string>& attributes, const char* name) {
  // 0, and none at all: null
  auto found = attributes.find(name);
  return found == attributes.end() ? nullptr : reinterpret_cast<T>(static_cast<uintptr_t>(std::strtoull(found->second.c_str(), nullptr, 10)));
}

class Region : public CustomStatefulOp {
 public:
  Region(const std::unordered_map<std::string, std::string>& attributes)
      : kernel_(pointer_attribute<Kernel>(attributes, "kernel")),
        threads_(std::atoi(attribute(attributes, "threads").c_str())),
        addresses_(pointer_attribute<void* const*>(attributes, "addresses")),
        started_(pointer_attribute<uint64_t*>(attributes, "started")) {
    ignore_warn = true;
  }

  MXReturnValue Forward(std::vector<MXTensor>* inputs, std::vector<MXTensor>* outputs, const OpResource& resource) override {
    tensors_.clear();
    for (MXTensor& t : *inputs) tensors_.push_back(t.data_ptr);
    for (MXTensor& t : *outputs) tensors_.push_back(t.data_ptr);
    if (addresses_) {
      // what stands elsewhere than where MXNet thinks
      for (size_t k = 0; k < tensors_.size(); ++k) {
        if (addresses_[k]) tensors_[k] = addresses_[k];
      }
      *started_ = 1;
    }
    void** tensors = tensors_.data();
    int threads = threads_;
    const int most = omp_get_max_threads();
    if (threads > most) threads = most;
    if (threads <= 1) {
      kernel_(tensors, 0, 1, team_barrier);
    } else {
      run_team(kernel_, tensors, threads);
    }
    return MX_SUCCESS;
  }

 private:
  const Kernel kernel_;
  const int threads_;
  // one per tensor, null where MXNet's own holds; where to note that a run has begun
  void* const* const addresses_;
  uint64_t* const started_;
  std::vector<void*> tensors_;
};

MXReturnValue create(const std::unordered_map<std::string, std::string>& attributes, const MXContext& context,
                     const std::vector<std::vector<unsigned int>>& shapes, const std::vector<int> types, CustomStatefulOp** op) {
  *op = CustomStatefulOp::create<Region>(attributes);
  return MX_SUCCESS;
}

}  // namespace

REGISTER_OP(_minpy_jit_region)
    .setParseAttrs(parse_attributes)
    .setInferType(infer_type)
    .setInferShape(infer_shape)
    .setCreateOpState(create, "cpu");

// what the package asks before it loads this: its attributes must be the ones above (see regions/__init__.py)
extern "C" __attribute__((visibility("default"))) int minpy_jit_region_version() { return 2; }

MXReturnValue initialize(int version) { return version >= 10900 ? MX_SUCCESS : MX_FAIL; }
