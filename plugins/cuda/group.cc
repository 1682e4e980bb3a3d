#include "plugins/cuda/group.h"

#include <cstdlib>
#include <shared_mutex>
#include <thread>

#include "plugins/cuda/device.h"

namespace plugin::cuda {
namespace {

constexpr int32_t kAborted = 10;

TenonStatus* status_of(ncclResult_t result, const char* what) {
  if (result == ncclSuccess || result == ncclInProgress) return nullptr;
  return error(kInternal, std::string(what) + ": NCCL: " + nccl()->GetErrorString(result));
}

bool nccl_type(int32_t dtype, ncclDataType_t& type) {
  switch (dtype) {
    case kFloat:
      type = ncclFloat32;
      return true;
    case kDouble:
      type = ncclFloat64;
      return true;
    case kHalf:
      type = ncclFloat16;
      return true;
    case kBfloat16:
      type = ncclBfloat16;
      return true;
    case kInt32:
      type = ncclInt32;
      return true;
    case kInt64:
      type = ncclInt64;
      return true;
    default:
      return false;
  }
}

// Shared by its members.
class Group {
 public:
  explicit Group(std::vector<Device*> devices) : devices_(std::move(devices)) {}
  ~Group();
  TenonStatus* open();
  TenonStatus* reduce(size_t rank, Stream& stream, const TenonReduced* values, size_t count);
  void abort();

 private:
  TenonStatus* enqueue(size_t rank, cudaStream_t stream, const TenonReduced* values, size_t count);
  TenonStatus* connect();

  const std::vector<Device*> devices_;
  std::vector<ncclComm_t> comms_;  // by rank; none of a single GPU
  std::shared_mutex calls_;        // shared by those that enqueue, held alone to abort
  bool aborted_ = false;           // under calls_
  std::mutex ending_mutex_;
  std::thread ending_;
};

TenonStatus* Group::open() {
  if (devices_.size() == 1) return nullptr;
  setenv("NCCL_ALGO", "Ring", 0);
  setenv("NCCL_NVLS_ENABLE", "0", 0);
  std::vector<int> ordinals;
  for (const Device* device : devices_) ordinals.push_back(device->ordinal());
  comms_.resize(devices_.size());
  const ncclResult_t made =
      nccl()->CommInitAll(comms_.data(), static_cast<int>(comms_.size()), ordinals.data());
  if (made != ncclSuccess) comms_.clear();
  if (TenonStatus* status = status_of(made, "a group of GPUs cannot be made")) return status;
  return connect();
}

// The first reduction connects the GPUs, for which all threads would have to come to it at a time.
TenonStatus* Group::connect() {
  std::vector<void*> memory(devices_.size());
  TenonStatus* status = nullptr;
  for (size_t rank = 0; rank < devices_.size() && !status; ++rank) {
    status = devices_[rank]->allocate(sizeof(float), &memory[rank]);
  }
  if (!status) {
    nccl()->GroupStart();
    for (size_t rank = 0; rank < devices_.size(); ++rank) {
      devices_[rank]->use();
      nccl()->AllReduce(memory[rank], memory[rank], 1, ncclFloat32, ncclSum, comms_[rank],
                        cudaStreamPerThread);
    }
    status = status_of(nccl()->GroupEnd(), "GPUs cannot be connected");
  }
  for (size_t rank = 0; rank < devices_.size(); ++rank) {
    devices_[rank]->use();
    const cudaError_t waited = cudaStreamSynchronize(cudaStreamPerThread);
    if (!status) status = plugin::cuda::status_of(waited, "GPUs cannot be connected");
    if (memory[rank]) devices_[rank]->free(memory[rank]);
  }
  return status;
}

// Graphs that hold reductions are gone by now, which NCCL waits for.
Group::~Group() {
  if (ending_.joinable()) {
    ending_.join();
    return;
  }
  for (ncclComm_t comm : comms_) nccl()->CommDestroy(comm);
}

TenonStatus* Group::enqueue(size_t rank, cudaStream_t stream, const TenonReduced* values,
                            size_t count) {
  const std::shared_lock lock(calls_);
  if (aborted_) return error(kAborted, "another GPU of the group has failed");
  nccl()->GroupStart();
  ncclResult_t failed = ncclSuccess;
  for (size_t i = 0; i < count && failed == ncclSuccess; ++i) {
    ncclDataType_t type{};
    if (!nccl_type(values[i].dtype, type)) failed = ncclInvalidArgument;
    if (failed != ncclSuccess) break;
    failed = nccl()->AllReduce(values[i].data, values[i].data, static_cast<size_t>(values[i].count),
                               type, ncclSum, comms_[rank], stream);
  }
  const ncclResult_t ended = nccl()->GroupEnd();
  return status_of(failed != ncclSuccess ? failed : ended, "a sum over the GPUs of a group");
}

TenonStatus* Group::reduce(size_t rank, Stream& stream, const TenonReduced* values, size_t count) {
  if (comms_.empty()) return nullptr;
  devices_[rank]->use();
  const cudaStream_t on = stream.enqueue();
  if (TenonStatus* status = enqueue(rank, on, values, count)) return status;
  if (stream.capture_root()) return nullptr;
  return plugin::cuda::status_of(cudaStreamSynchronize(on), "a sum over the GPUs of a group");
}

// NCCL ends what waits at once, and then waits for the graphs: that is another thread's matter.
void Group::abort() {
  const std::lock_guard lock(ending_mutex_);
  if (comms_.empty() || ending_.joinable()) return;
  ending_ = std::thread([this] {
    {
      const std::unique_lock alone(calls_);
      aborted_ = true;
    }
    for (ncclComm_t comm : comms_) nccl()->CommAbort(comm);
  });
}

struct Member {
  std::shared_ptr<Group> group;
  size_t rank;
};

}  // namespace

TenonStatus* create_group(void* const* devices, int32_t count, void** members) {
  std::vector<Device*> places;
  for (int32_t i = 0; i < count; ++i) places.push_back(static_cast<Device*>(devices[i]));
  const auto group = std::make_shared<Group>(std::move(places));
  if (TenonStatus* status = group->open()) return status;
  for (int32_t i = 0; i < count; ++i) members[i] = new Member{group, static_cast<size_t>(i)};
  return nullptr;
}

TenonStatus* all_reduce(void* member, void* stream, const TenonReduced* values, size_t count) {
  const Member& of = *static_cast<Member*>(member);
  return of.group->reduce(of.rank, *static_cast<Stream*>(stream), values, count);
}

void abort_group(void* member) { static_cast<Member*>(member)->group->abort(); }

void destroy_member(void* member) { delete static_cast<Member*>(member); }

}  // namespace plugin::cuda
