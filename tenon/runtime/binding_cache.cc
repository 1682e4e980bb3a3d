#include "tenon/runtime/binding_cache.h"

namespace tenon {
namespace {

// A thread keeps an Instance whose memory is at most this; larger ones are shared.
constexpr size_t kKeptByThread = size_t{1} << 20;

}  // namespace

BindingCache::Place& BindingCache::place_of_thread() {
  static std::atomic<size_t> threads{0};
  thread_local const size_t number = threads.fetch_add(1, std::memory_order_relaxed);
  return places_[number % kPlaces];
}

// Under the lock; what it finds is then the last used.
BindingCache::Bound* BindingCache::find(std::span<const Tensor> args, bool results_stay) {
  for (auto it = bound_.begin(); it != bound_.end(); ++it) {
    if (!it->binding->key.fits(args, results_stay)) continue;
    if (it != bound_.begin()) bound_.splice(bound_.begin(), bound_, it);
    return &*it;
  }
  return nullptr;
}

StatusOr<RunForm> BindingCache::form_of(std::span<const Tensor> args, const RunLimits& limits,
                                        bool results_stay) {
  {
    Place& place = place_of_thread();
    const std::lock_guard lock(place.mutex);
    if (place.last && place.last->binding().key.fits(args, results_stay))
      return place.last->binding().form;
  }
  {
    const std::lock_guard lock(mutex_);
    if (const Bound* bound = find(args, results_stay)) return bound->binding->form;
  }
  TENON_ASSIGN_OR_RETURN(const auto binding, bind(BindingKey(args, results_stay), limits));
  return binding->form;
}

StatusOr<std::unique_ptr<Instance>> BindingCache::take(std::span<const Tensor> args,
                                                       bool results_stay) {
  Place& place = place_of_thread();
  {
    const std::lock_guard lock(place.mutex);
    if (place.last && place.last->binding().key.fits(args, results_stay))
      return std::move(place.last);
  }
  std::shared_ptr<const Binding> binding;
  std::unique_ptr<Instance> instance;
  {
    const std::lock_guard lock(mutex_);
    if (Bound* bound = find(args, results_stay)) {
      binding = bound->binding;
      if (!bound->idle.empty()) {
        instance = std::move(bound->idle.back());
        bound->idle.pop_back();
      }
    }
  }
  if (!binding) {
    TENON_ASSIGN_OR_RETURN(binding, bind(BindingKey(args, results_stay), {}));
  }
  TENON_ASSIGN_OR_RETURN(auto workspace, workspaces_->take(*binding));
  if (!instance) instance = std::make_unique<Instance>(std::move(binding));
  TENON_RETURN_IF_ERROR(instance->attach(std::move(workspace)));
  return instance;
}

void BindingCache::give_back(std::unique_ptr<Instance> instance) {
  if (instance->workspace().bytes() <= kKeptByThread) {
    Place& place = place_of_thread();
    const std::lock_guard lock(place.mutex);
    std::swap(place.last, instance);
    if (!instance) return;
  }
  workspaces_->give_back(instance->detach(), plan_->options().workspace_bytes);
  const std::lock_guard lock(mutex_);
  for (Bound& each : bound_) {
    if (each.binding.get() == &instance->binding()) {
      each.idle.push_back(std::move(instance));
      break;
    }
  }
}

StatusOr<std::shared_ptr<const Binding>> BindingCache::bind(BindingKey key,
                                                            const RunLimits& limits) {
  TENON_ASSIGN_OR_RETURN(const RunTurn turn, RunTurn::take(RunForm::kLong, limits));
  TENON_ASSIGN_OR_RETURN(auto binding, Binding::create(plan_, std::move(key)));
  const std::lock_guard lock(mutex_);
  for (const Bound& other : bound_) {
    // Somebody else made the same one meanwhile: use that, so that its Instances are shared.
    if (other.binding->key == binding->key) return other.binding;
  }
  bound_.push_front({binding, binding->own_bytes(), {}});
  drop_bindings();
  return binding;
}

// Under the lock. The last used one always stays.
void BindingCache::drop_bindings() {
  const ExecutableOptions& options = plan_->options();
  size_t bytes = 0, count = 0;
  for (auto it = bound_.begin(); it != bound_.end();) {
    bytes += it->bytes();
    const bool over = bytes > options.cache_bytes || ++count > options.cache_bindings;
    it = over && it != bound_.begin() ? bound_.erase(it) : std::next(it);
  }
}

size_t BindingCache::bytes() const {
  const std::lock_guard lock(mutex_);
  size_t total = workspaces_->bytes();
  for (const Bound& bound : bound_) total += bound.bytes();
  return total;
}

size_t BindingCache::size() const {
  const std::lock_guard lock(mutex_);
  return bound_.size();
}

}  // namespace tenon
