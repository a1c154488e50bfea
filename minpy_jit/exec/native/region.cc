// The region operator: runs one compiled function on the tensors of an MXNet node, on one OpenMP team.
#include <omp.h>

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

void team_barrier() {
#pragma omp barrier
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
      const Kernel kernel = kernel_;
#pragma omp parallel num_threads(threads)
      kernel(tensors, omp_get_thread_num(), omp_get_num_threads(), team_barrier);
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
