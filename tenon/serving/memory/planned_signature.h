// PlannedSignature: a signature of a model with its Executable, which may be dropped while nobody
// runs it and is made again when somebody does.
#pragma once

#include <atomic>
#include <shared_mutex>

#include "tenon/saved_model/saved_model.h"
#include "tenon/serving/memory/memory_keeper.h"

namespace tenon::serving {

// Thread-safe.
class PlannedSignature final : public Evictable {
 public:
  // Where it is not `evictable` it is planned once, before it runs, and runs take no lock.
  PlannedSignature(std::shared_ptr<SavedModel> model, tenon::Signature signature, bool evictable);

  // Plans it; with `prepare` for one row too, so that the first request pays no more than others.
  // An error is what run() then answers each time, unless memory was lacking.
  Status plan(bool prepare);

  // Executable::run(), its results those of the signature, in order.
  Status run(std::span<const Tensor> args, std::vector<Tensor>& results, const RunLimits& limits);

  // What Servable::merges_rows() asks, once it is planned; false where it is not.
  bool merges_rows();

  // May a run that failed be made again? Known once it is planned.
  bool has_effects() const { return has_effects_.load(std::memory_order_relaxed); }

  int64_t last_used() const override { return last_used_.load(std::memory_order_relaxed); }
  bool evict(Part part) override;

 private:
  Status plan_locked(bool prepare);
  Status run_evictable(std::span<const Tensor> args, std::vector<Tensor>& results,
                       const RunLimits& limits);

  const std::shared_ptr<SavedModel> model_;
  const tenon::Signature signature_;
  const bool evictable_;
  std::atomic<int64_t> last_used_;
  std::atomic<bool> has_effects_{true};
  std::atomic<bool> has_arenas_{false};  // since they were given back last it has run
  std::shared_mutex mutex_;              // shared by runs; guards what follows
  Status unusable_;
  std::shared_ptr<Executable> executable_;  // null: not planned, or dropped
};

}  // namespace tenon::serving
