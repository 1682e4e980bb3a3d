#include "tenon/serving/batching/merging_servable.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "tenon/base/out_of_memory.h"
#include "tenon/base/wait_notice.h"
#include "tenon/serving/batching/batch_tensors.h"
#include "tenon/serving/request_metrics.h"

namespace tenon::serving {
namespace {

using SteadyClock = std::chrono::steady_clock;

// A request that waits for a place.
struct WaitingRun {
  enum class State {
    kQueued,
    kLeads,    // it has the place, and runs `company` with it
    kTravels,  // another one runs it
    kDone,
    kAlone,  // it has to run by itself
  };
  WaitingRun(std::span<const Tensor> given, const RunLimits& limits)
      : inputs(given.begin(), given.end()), limits(limits) {}

  const std::vector<Tensor> inputs;
  const RunLimits limits;
  // What follows is guarded by the mutex of the signature's runs.
  State state = State::kQueued;
  std::vector<std::shared_ptr<WaitingRun>> company;  // of one that leads, itself first
  std::vector<Tensor> outputs;                       // all of the signature's, when done
  std::condition_variable changed;
};

bool same_shapes(std::span<const Tensor> a, std::span<const Tensor> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Tensor& x, const Tensor& y) { return x.shape() == y.shape(); });
}

// What a run takes when nothing disturbs it: the least of late, slowly forgotten. Two that observe
// at once lose one of two observations. Thread-safe.
class LeastTime {
 public:
  int64_t microseconds() const { return least_.load(std::memory_order_relaxed); }  // 0: not known
  void observe(int64_t microseconds) {
    const int64_t before = this->microseconds();
    const int64_t now = std::max<int64_t>(microseconds, 1);
    const int64_t after = before == 0 ? now : std::min(now, before + before / 16 + 1);
    if (after != before) least_.store(after, std::memory_order_relaxed);
  }

 private:
  std::atomic<int64_t> least_{0};
};

// How many requests are worth one run, as runs have shown: products with many weights cost little
// more for several rows than for one, convolutions as much for each. Not thread-safe.
class WorthwhileSize {
 public:
  // The largest power of two up to `most` that is known to pay, or is to be tried, where a request
  // by itself takes `alone` microseconds.
  size_t choose(size_t most, int64_t alone) {
    size_t count = 1;
    for (size_t i = 1; i < kSizes && 2 * count <= most; ++i, count *= 2) {
      Size& size = sizes_[i];
      const auto separate = static_cast<double>(alone) * static_cast<double>(2 * count);
      const auto together = static_cast<double>(size.time.microseconds());
      if (size.runs < kTries || together <= kWorthwhile * separate) continue;
      if (++size.refused % kAgain != 0) break;
      size.runs = 0;  // what was found may have been the machine's doing
    }
    return count;
  }
  void observe(size_t count, int64_t microseconds) {
    Size& size = sizes_[static_cast<size_t>(std::countr_zero(count))];
    ++size.runs;
    size.time.observe(microseconds);
  }
  static constexpr size_t kMost = 64;

 private:
  static constexpr size_t kSizes = 7;  // 1 to kMost
  static constexpr int64_t kTries = 4;
  static constexpr int64_t kAgain = 1000;
  static constexpr double kWorthwhile = 0.7;
  struct Size {
    int64_t runs = 0;
    int64_t refused = 0;
    LeastTime time;
  };
  std::array<Size, kSizes> sizes_;
};

// The runs of one signature. Thread-safe.
class SignatureRuns {
 public:
  SignatureRuns(const Servable& servable, const Signature& signature, const MergingOptions& options)
      : servable_(servable), signature_(signature), options_(options) {
    for (size_t i = 0; i < signature.outputs.size(); ++i) all_.push_back(static_cast<int>(i));
  }

  StatusOr<std::vector<Tensor>> run(std::span<const Tensor> inputs, std::span<const int> outputs,
                                    const RunLimits& limits);

 private:
  using RunPtr = std::shared_ptr<WaitingRun>;
  StatusOr<std::vector<Tensor>> run_alone(std::span<const Tensor> inputs,
                                          std::span<const int> outputs, const RunLimits& limits);
  StatusOr<std::vector<Tensor>> wait(const RunPtr& own, std::span<const int> outputs);
  Status wait_while_queued(std::unique_lock<std::mutex>& lock, const RunPtr& own);
  StatusOr<std::vector<Tensor>> lead(const RunPtr& own, std::span<const int> outputs);
  StatusOr<std::vector<Tensor>> run_together(const std::vector<RunPtr>& company);
  std::vector<RunPtr> take_company();
  void give_place_away();

  // What runs have shown of requests that are about as large as each other.
  struct Experience {
    LeastTime alone;  // of one request
    WorthwhileSize size;
  };
  Experience& experience_of(std::span<const Tensor> inputs) {
    uint64_t elements = 0;
    for (const Tensor& input : inputs) elements += static_cast<uint64_t>(input.num_elements());
    return experience_[static_cast<size_t>(std::bit_width(elements)) % experience_.size()];
  }

  const Servable& servable_;
  const Signature& signature_;
  const MergingOptions options_;
  std::vector<int> all_;  // outputs
  std::mutex mutex_;      // guards what follows, and the sizes
  int running_ = 0;
  std::deque<RunPtr> queue_;
  std::array<Experience, 32> experience_;
};

StatusOr<std::vector<Tensor>> SignatureRuns::run(std::span<const Tensor> inputs,
                                                 std::span<const int> outputs,
                                                 const RunLimits& limits) {
  const int64_t expected = experience_of(inputs).alone.microseconds();
  if (expected > 0 && expected < options_.least_microseconds) {
    return run_alone(inputs, outputs, limits);
  }
  RunPtr own;
  {
    const std::lock_guard lock(mutex_);
    if (running_ < options_.runs) {
      ++running_;
    } else {
      own = std::make_shared<WaitingRun>(inputs, limits);
      queue_.push_back(own);
    }
  }
  if (own) return wait(own, outputs);
  auto results = run_alone(inputs, outputs, limits);
  give_place_away();
  return results;
}

StatusOr<std::vector<Tensor>> SignatureRuns::run_alone(std::span<const Tensor> inputs,
                                                       std::span<const int> outputs,
                                                       const RunLimits& limits) {
  const int64_t start = steady_microseconds();
  auto results = servable_.run(signature_, inputs, outputs, limits);
  if (results.ok()) experience_of(inputs).alone.observe(microseconds_since(start));
  return results;
}

// Nobody tells a waiting thread that its client has gone: it looks now and then.
Status SignatureRuns::wait_while_queued(std::unique_lock<std::mutex>& lock, const RunPtr& own) {
  constexpr std::chrono::milliseconds kPeriod{20};
  using State = WaitingRun::State;
  while (own->state == State::kQueued || own->state == State::kTravels) {
    // What travels is run for nobody then.
    if (Status status = own->limits.check(); !status.ok()) {
      std::erase(queue_, own);
      return status;
    }
    const bool limited = own->limits.deadline != SteadyClock::time_point::max();
    if (own->limits.cancelled != nullptr) {
      own->changed.wait_until(lock, std::min(own->limits.deadline, SteadyClock::now() + kPeriod));
    } else if (limited) {
      own->changed.wait_until(lock, own->limits.deadline);
    } else {
      own->changed.wait(lock);
    }
  }
  return absl::OkStatus();
}

StatusOr<std::vector<Tensor>> SignatureRuns::wait(const RunPtr& own, std::span<const int> outputs) {
  about_to_wait();
  {
    std::unique_lock lock(mutex_);
    TENON_RETURN_IF_ERROR(wait_while_queued(lock, own));
    if (own->state == WaitingRun::State::kDone) {
      std::vector<Tensor> selected;
      for (const int output : outputs)
        selected.push_back(own->outputs[static_cast<size_t>(output)]);
      return selected;
    }
  }
  if (own->state == WaitingRun::State::kLeads) return lead(own, outputs);
  return servable_.run(signature_, own->inputs, outputs, own->limits);
}

// Has the place, and gives it away.
StatusOr<std::vector<Tensor>> SignatureRuns::lead(const RunPtr& own, std::span<const int> outputs) {
  const std::vector<RunPtr> company = std::move(own->company);
  if (company.size() == 1) {
    auto results = run_alone(own->inputs, outputs, own->limits);
    give_place_away();
    return results;
  }
  const int64_t start = steady_microseconds();
  auto together = or_out_of_memory([&] { return run_together(company); });
  const int64_t took = microseconds_since(start);
  give_place_away();
  std::vector<Tensor> selected;
  {
    const std::lock_guard lock(mutex_);
    if (together.ok()) experience_of(own->inputs).size.observe(company.size(), took);
    const int64_t rows = own->inputs[0].dim(0);
    for (size_t i = 0; i < company.size(); ++i) {
      WaitingRun& one = *company[i];
      one.state = together.ok() ? WaitingRun::State::kDone : WaitingRun::State::kAlone;
      for (size_t j = 0; together.ok() && j < together->size(); ++j) {
        one.outputs.push_back((*together)[j].slice(static_cast<int64_t>(i) * rows, rows));
      }
      one.changed.notify_all();
    }
    for (size_t j = 0; together.ok() && j < outputs.size(); ++j) {
      selected.push_back(own->outputs[static_cast<size_t>(outputs[j])]);
    }
  }
  if (!together.ok()) return servable_.run(signature_, own->inputs, outputs, own->limits);
  if (options_.merged != nullptr) options_.merged->add(static_cast<int64_t>(company.size()));
  return selected;
}

StatusOr<std::vector<Tensor>> SignatureRuns::run_together(const std::vector<RunPtr>& company) {
  // It may take as long as the most patient allows.
  RunLimits limits{.deadline = SteadyClock::time_point::min()};
  for (const RunPtr& one : company)
    limits.deadline = std::max(limits.deadline, one->limits.deadline);
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < signature_.inputs.size(); ++i) {
    std::vector<Tensor> parts;
    for (const RunPtr& one : company) parts.push_back(one->inputs[i]);
    TENON_ASSIGN_OR_RETURN(inputs.emplace_back(), concatenate_rows(parts));
  }
  TENON_ASSIGN_OR_RETURN(std::vector<Tensor> results,
                         servable_.run(signature_, inputs, all_, limits));
  for (const Tensor& result : results) {
    if (result.rank() == 0 || result.dim(0) != inputs[0].dim(0)) {
      return internal("an output has not a row for each of the input's");
    }
  }
  return results;
}

// The one that has waited longest and others of its shapes, a power of two in all: each size costs
// a memory plan once. Under the lock.
std::vector<SignatureRuns::RunPtr> SignatureRuns::take_company() {
  Experience& experience = experience_of(queue_.front()->inputs);
  const int64_t alone = experience.alone.microseconds();
  const int64_t by_time = options_.most_microseconds / std::max<int64_t>(alone, 1);
  const int64_t most = std::min(static_cast<int64_t>(WorthwhileSize::kMost), by_time);
  std::vector<RunPtr> company;
  for (const RunPtr& one : queue_) {
    if (company.empty() || (static_cast<int64_t>(company.size()) < most &&
                            same_shapes(company[0]->inputs, one->inputs))) {
      company.push_back(one);
    }
  }
  company.resize(experience.size.choose(company.size(), alone));
  for (const RunPtr& one : company) {
    one->state = WaitingRun::State::kTravels;
    std::erase(queue_, one);
  }
  return company;
}

void SignatureRuns::give_place_away() {
  const std::lock_guard lock(mutex_);
  if (queue_.empty()) {
    --running_;
    return;
  }
  std::vector<RunPtr> company = take_company();
  WaitingRun& leader = *company[0];
  leader.company = std::move(company);
  leader.state = WaitingRun::State::kLeads;
  leader.changed.notify_all();
}

class MergingServable final : public Servable {
 public:
  MergingServable(std::shared_ptr<const Servable> servable, const MergingOptions& options)
      : servable_(std::move(servable)) {
    for (const Signature& signature : servable_->signatures()) {
      runs_.push_back(servable_->merges_rows(signature)
                          ? std::make_unique<SignatureRuns>(*servable_, signature, options)
                          : nullptr);
    }
  }

  const std::vector<Signature>& signatures() const override { return servable_->signatures(); }
  std::string signature_def_map() const override { return servable_->signature_def_map(); }
  StatusOr<std::vector<std::vector<Tensor>>> run_together(std::span<const Part> parts,
                                                          const Tensor& input,
                                                          const RunLimits& limits) const override {
    return servable_->run_together(parts, input, limits);
  }
  const Servable& unmerged() const override { return *servable_; }
  Tolerance tolerance(std::string_view signature, std::string_view output) const override {
    return servable_->tolerance(signature, output);
  }
  int64_t last_used() const override { return servable_->last_used(); }

  StatusOr<std::vector<Tensor>> run(const Signature& signature, std::span<const Tensor> inputs,
                                    std::span<const int> outputs,
                                    const RunLimits& limits) const override {
    const auto index = static_cast<size_t>(&signature - servable_->signatures().data());
    if (!runs_[index] || !are_rows(signature, inputs)) {
      return servable_->run(signature, inputs, outputs, limits);
    }
    return runs_[index]->run(inputs, outputs, limits);
  }

 private:
  // Rows as the proof takes them: of the declared shapes, as many of each input, one at least.
  static bool are_rows(const Signature& signature, std::span<const Tensor> inputs) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Shape& shape = inputs[i].shape();
      const bool fits = shape.rank() > 0 && signature.inputs[i].shape.matches(shape);
      const int64_t rows = fits ? inputs[i].dim(0) : 0;
      if (rows == 0 || rows != inputs[0].dim(0)) return false;
    }
    return true;
  }

  const std::shared_ptr<const Servable> servable_;
  std::vector<std::unique_ptr<SignatureRuns>> runs_;  // one a signature; null: it is not merged
};

}  // namespace

std::shared_ptr<const Servable> merging_servable(std::shared_ptr<const Servable> servable,
                                                 const MergingOptions& options) {
  const std::vector<Signature>& signatures = servable->signatures();
  const bool any = std::any_of(signatures.begin(), signatures.end(),
                               [&](const Signature& one) { return servable->merges_rows(one); });
  if (!any) return servable;
  return std::make_shared<MergingServable>(std::move(servable), options);
}

}  // namespace tenon::serving
