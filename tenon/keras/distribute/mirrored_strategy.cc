#include "tenon/keras/distribute/mirrored_strategy.h"

#include "tenon/dist/cluster/worker_group.h"

namespace tenon::keras {

StatusOr<std::shared_ptr<const MirroredStrategy>> MirroredStrategy::create(
    MirroredOptions options) {
  std::shared_ptr<MirroredStrategy> made(new MirroredStrategy);
  const DeviceRegistry& registry = DeviceRegistry::global();
  for (const std::string& name : options.devices) {
    TENON_ASSIGN_OR_RETURN(Device * device, registry.find(name));
    if (std::find(made->devices_.begin(), made->devices_.end(), device) != made->devices_.end()) {
      return invalid_argument("the device '", name, "' is named twice");
    }
    made->devices_.push_back(device);
  }
  if (options.devices.empty() && options.workers) made->devices_ = {registry.preferred()};
  for (Device* device : registry.all()) {
    const bool wanted = options.devices.empty() && !options.workers &&
                        device->type() == registry.preferred()->type();
    if (wanted) made->devices_.push_back(device);
  }
  if (options.workers && made->devices_.size() > 1) {
    return unimplemented("several workers have one device each, here are ", made->devices_.size(),
                         ": start a worker for each device");
  }
  if (options.bucket_bytes <= 0) return invalid_argument("bucket_bytes must be above 0");
  made->bucket_bytes_ = options.bucket_bytes;
  made->workers_ = std::move(options.workers);
  return std::shared_ptr<const MirroredStrategy>(std::move(made));
}

int MirroredStrategy::num_replicas_in_sync() const {
  return static_cast<int>(devices_.size()) * (workers_ ? workers_->size() : 1);
}

}  // namespace tenon::keras
