#include "tenon/runtime/plugin/plugin_group.h"

#include "tenon/runtime/plugin/plugin_stream.h"

namespace tenon {
namespace {

class PluginMember final : public DeviceCommunicator {
 public:
  PluginMember(const TenonBackend& backend, void* handle, Device* device, int rank, int size)
      : backend_(backend), handle_(handle), device_(device), rank_(rank), size_(size) {}
  ~PluginMember() override { backend_.destroy_member(handle_); }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  Device* device() const override { return device_; }

  Status start(Stream& stream, std::string_view instance,
               std::span<Tensor* const> values) override {
    std::vector<TenonReduced> reduced;
    for (Tensor* value : values) {
      reduced.push_back(
          {static_cast<int32_t>(value->dtype()), value->num_elements(), value->mutable_raw()});
    }
    auto& of_run = static_cast<PluginStream&>(stream);
    TENON_ASSIGN_OR_RETURN(PluginStream * beside, of_run.begin_reduction());
    TENON_RETURN_IF_ERROR(
        take(backend_.all_reduce(handle_, beside->handle(), reduced.data(), reduced.size())));
    return of_run.end_reduction(instance);
  }
  Status finish(Stream& stream, std::string_view instance) override {
    return static_cast<PluginStream&>(stream).await_reduction(instance);
  }
  void abort() override { backend_.abort_group(handle_); }

 private:
  const TenonBackend& backend_;
  void* handle_;
  Device* device_;
  const int rank_, size_;
};

// Input i + 1 becomes output i: the same memory, where nobody else reads it.
Status hand_on(KernelRun& r, std::vector<Tensor*>& outputs) {
  for (int i = 0; i < r.num_outputs(); ++i) {
    Tensor& output = r.output(i);
    const Tensor& input = r.input(i + 1);
    if (output.raw() != input.raw()) {
      TENON_RETURN_IF_ERROR(
          r.context().stream->copy(output.mutable_raw(), input.raw(), input.num_bytes()));
    }
    outputs.push_back(&output);
  }
  return absl::OkStatus();
}

StatusOr<DeviceCommunicator*> member_of(KernelRun& r) {
  auto* member = r.input(0).object_as<DeviceCommunicator>();
  if (!member) return not_found("input 0 refers to no group of devices");
  if (member->device() != r.context().stream->device()) {
    return invalid_argument("the place in the group is that of ", member->device()->name(),
                            ", the step runs on ", r.context().stream->device()->name());
  }
  return member;
}

}  // namespace

StatusOr<std::vector<Ref<DeviceCommunicator>>> open_plugin_group(const TenonBackend& backend,
                                                                 std::span<Device* const> devices,
                                                                 std::span<void* const> handles) {
  std::vector<void*> members(devices.size());
  TENON_RETURN_IF_ERROR(take(
      backend.create_group(handles.data(), static_cast<int32_t>(devices.size()), members.data())));
  std::vector<Ref<DeviceCommunicator>> made;
  for (size_t rank = 0; rank < devices.size(); ++rank) {
    made.push_back(make_ref<PluginMember>(backend, members[rank], devices[rank],
                                          static_cast<int>(rank),
                                          static_cast<int>(devices.size())));
  }
  return made;
}

bool is_device_reduction(const OpDef& op) {
  return op.name() == "_DeviceAllReduceStart" || op.name() == "_DeviceAllReduceDone";
}

StatusOr<Kernel> make_device_reduction(NodePrepare& prepare) {
  for (int i = 0; i < prepare.num_outputs(); ++i) prepare.may_overwrite(i + 1, i);
  const auto& instance = prepare.attr<std::string>("instance");
  if (prepare.op().name() == "_DeviceAllReduceStart") {
    return Kernel([instance](KernelRun& r) -> Status {
      TENON_ASSIGN_OR_RETURN(DeviceCommunicator * member, member_of(r));
      std::vector<Tensor*> values;
      TENON_RETURN_IF_ERROR(hand_on(r, values));
      return member->start(*r.context().stream, instance, values);
    });
  }
  return Kernel([instance](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(DeviceCommunicator * member, member_of(r));
    TENON_RETURN_IF_ERROR(member->finish(*r.context().stream, instance));
    std::vector<Tensor*> values;
    return hand_on(r, values);
  });
}

}  // namespace tenon
