#include "tenon/serving/batching/batching_servable.h"

#include "tenon/base/out_of_memory.h"
#include "tenon/serving/batching/batch_tensors.h"

namespace tenon::serving {
namespace {

StatusOr<int64_t> rows_of(std::span<const Tensor> inputs) {
  for (const Tensor& input : inputs) {
    if (input.rank() == 0) {
      return invalid_argument("Batching Run() input tensors must have at least one dimension");
    }
    if (input.dim(0) != inputs[0].dim(0)) {
      return invalid_argument("Batching Run() input tensors must have equal 0th-dimension size");
    }
  }
  return inputs[0].dim(0);
}

// Merges, runs and splits the batches of one signature.
class SignatureBatches {
 public:
  SignatureBatches(const Servable& servable, const Signature& signature,
                   const BatchingParameters& parameters, const BatchingMetrics& metrics)
      : servable_(servable), signature_(signature), parameters_(parameters), metrics_(metrics) {
    for (size_t i = 0; i < signature.outputs.size(); ++i) outputs_.push_back(static_cast<int>(i));
  }

  void process(const BatchScheduler::Batch& batch) const;

 private:
  StatusOr<std::vector<Tensor>> run(const BatchScheduler::Batch& batch, int64_t rows) const;
  StatusOr<Tensor> merge(const BatchScheduler::Batch& batch, size_t input, int64_t padding) const;

  const Servable& servable_;
  const Signature& signature_;
  const BatchingParameters& parameters_;
  const BatchingMetrics& metrics_;
  std::vector<int> outputs_;
};

StatusOr<Tensor> SignatureBatches::merge(const BatchScheduler::Batch& batch, size_t input,
                                         int64_t padding) const {
  std::vector<Tensor> parts;
  for (const auto& task : batch) parts.push_back(task->inputs[input]);
  std::vector<int64_t> most(parts[0].shape().dims().begin(), parts[0].shape().dims().end());
  bool same = true;
  for (const Tensor& part : parts) {
    const bool same_rank = part.rank() == static_cast<int>(most.size());
    for (int i = 1; same_rank && i < part.rank(); ++i) {
      same &= part.dim(i) == parts[0].dim(i);
      most[static_cast<size_t>(i)] = std::max(most[static_cast<size_t>(i)], part.dim(i));
    }
    if (same_rank && (same || parameters_.pad_variable_length)) continue;
    return failed_precondition(
        "Tensors with name '", signature_.inputs[input].name,
        "' from different tasks have different shapes and padding is turned off. Set "
        "pad_variable_length_inputs to true, or ensure that all tensors with the same name have "
        "equal dimensions starting with the first dim.");
  }
  if (!same) {
    TENON_ASSIGN_OR_RETURN(const Shape shape, Shape::make(most, size_of(parts[0].dtype())));
    for (Tensor& part : parts) {
      TENON_ASSIGN_OR_RETURN(part, pad_rows(part, shape));
    }
  }
  // The first row of the last request is a valid row.
  const Tensor filler = parts.back();
  for (int64_t i = 0; i < padding; ++i) parts.push_back(filler.slice(0, 1));
  if (parts.size() == 1) return parts[0];
  return concatenate_rows(parts);
}

StatusOr<std::vector<Tensor>> SignatureBatches::run(const BatchScheduler::Batch& batch,
                                                    int64_t rows) const {
  const int64_t size = parameters_.allowed_size(rows);
  metrics_.padding.cell({cat(size)}).observe(static_cast<double>(size - rows));
  metrics_.processed_rows.observe(static_cast<double>(size));
  // The batch may take as long as the most patient of its requests.
  RunLimits limits{.deadline = std::chrono::steady_clock::time_point::min()};
  const auto now = std::chrono::steady_clock::now();
  for (const auto& task : batch) {
    limits.deadline = std::max(limits.deadline, task->deadline);
    const auto waited = std::chrono::duration_cast<std::chrono::microseconds>(now - task->enqueued);
    metrics_.queuing_latency.observe(static_cast<double>(waited.count()));
  }
  if (limits.deadline <= now) {
    return resource_exhausted("Run() timeout exceeded while waiting in batching queue");
  }
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < signature_.inputs.size(); ++i) {
    TENON_ASSIGN_OR_RETURN(Tensor input, merge(batch, i, size - rows));
    inputs.push_back(std::move(input));
  }
  metrics_.wrapped_runs.add();
  TENON_ASSIGN_OR_RETURN(std::vector<Tensor> results,
                         servable_.run(signature_, inputs, outputs_, limits));
  for (const Tensor& result : results) {
    if (result.rank() == 0) return failed_precondition("Batched output tensor has 0 dimensions");
    if (result.dim(0) != size) {
      return failed_precondition(
          "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension "
          "sizes of the input tensors");
    }
  }
  return results;
}

void SignatureBatches::process(const BatchScheduler::Batch& batch) const {
  int64_t rows = 0;
  for (const auto& task : batch) rows += task->rows;
  const StatusOr<std::vector<Tensor>> results = or_out_of_memory([&] { return run(batch, rows); });
  int64_t begin = 0;
  for (const auto& task : batch) {
    std::vector<Tensor> own;
    if (results.ok()) {
      for (const Tensor& result : *results) own.push_back(result.slice(begin, task->rows));
    }
    begin += task->rows;
    task->finish(results.status(), std::move(own));
  }
}

class BatchingServable final : public Servable {
 public:
  BatchingServable(std::shared_ptr<const Servable> servable,
                   std::shared_ptr<BatchScheduler> scheduler, const BatchingParameters& parameters,
                   MetricRegistry& metrics)
      : servable_(std::move(servable)),
        parameters_(parameters),
        metrics_(metrics, parameters.thread_pool_name) {
    for (const Signature& signature : servable_->signatures()) {
      auto batches =
          std::make_shared<SignatureBatches>(*servable_, signature, parameters_, metrics_);
      queues_.push_back(std::make_unique<BatchScheduler::Queue>(
          scheduler, parameters_,
          [batches](const BatchScheduler::Batch& batch) { batches->process(batch); }));
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

  StatusOr<std::vector<Tensor>> run(const Signature& signature, std::span<const Tensor> inputs,
                                    std::span<const int> outputs,
                                    const RunLimits& limits) const override {
    const bool all = outputs.size() == signature.outputs.size();
    if (inputs.empty() || !all) return servable_->run(signature, inputs, outputs, limits);
    TENON_ASSIGN_OR_RETURN(const int64_t rows, rows_of(inputs));
    if (rows == 0) return servable_->run(signature, inputs, outputs, limits);
    for (const Tensor& input : inputs) {
      metrics_.input_rows.observe(static_cast<double>(input.dim(0)));
    }
    const auto index = static_cast<size_t>(&signature - servable_->signatures().data());
    TENON_ASSIGN_OR_RETURN(std::vector<Tensor> results,
                           run_batched(*queues_[index], inputs, rows, limits));
    std::vector<Tensor> selected;
    for (const int output : outputs) selected.push_back(results[static_cast<size_t>(output)]);
    return selected;
  }

 private:
  static StatusOr<std::vector<Tensor>> run_batched(BatchScheduler::Queue& queue,
                                                   std::span<const Tensor> inputs, int64_t rows,
                                                   const RunLimits& limits) {
    std::vector<std::shared_ptr<BatchTask>> pieces;
    int64_t begin = 0;
    for (const int64_t count : queue.cut(rows)) {
      std::vector<Tensor> own;
      for (const Tensor& input : inputs) {
        own.push_back(count == rows ? input : input.slice(begin, count));
      }
      begin += count;
      pieces.push_back(std::make_shared<BatchTask>(count, std::move(own), limits));
    }
    TENON_RETURN_IF_ERROR(queue.add(pieces));
    std::vector<std::vector<Tensor>> results;
    for (const auto& piece : pieces) {
      TENON_ASSIGN_OR_RETURN(results.emplace_back(), piece->wait());
    }
    if (results.size() == 1) return std::move(results[0]);
    std::vector<Tensor> whole;
    for (size_t output = 0; output < results[0].size(); ++output) {
      std::vector<Tensor> parts;
      for (const std::vector<Tensor>& piece : results) parts.push_back(piece[output]);
      TENON_ASSIGN_OR_RETURN(whole.emplace_back(), concatenate_rows(parts));
    }
    return whole;
  }

  const std::shared_ptr<const Servable> servable_;
  const BatchingParameters parameters_;
  const BatchingMetrics metrics_;
  std::vector<std::unique_ptr<BatchScheduler::Queue>> queues_;  // one a signature
};

}  // namespace

BatchingMetrics::BatchingMetrics(MetricRegistry& registry, std::string_view thread_pool_name)
    : queuing_latency(registry
                          .histogram("/tensorflow/serving/batching_session/queuing_latency",
                                     {"thread_pool_name"}, exponential_limits(100, 1.2, 52))
                          .cell({thread_pool_name})),
      wrapped_runs(
          registry.counter("/tensorflow/serving/batching_session/wrapped_run_count").cell({})),
      padding(registry.histogram("/tensorflow/serving/batching_session/padding_size",
                                 {"execution_batch_size"}, exponential_limits(1, 2, 14))),
      input_rows(registry
                     .histogram("/tensorflow/serving/batching_session/input_batch_size", {},
                                exponential_limits(1, 2, 14))
                     .cell({})),
      processed_rows(registry
                         .histogram("/tensorflow/serving/batching_session/processed_batch_size", {},
                                    exponential_limits(1, 2, 14))
                         .cell({})) {}

std::shared_ptr<const Servable> batching_servable(std::shared_ptr<const Servable> servable,
                                                  std::shared_ptr<BatchScheduler> scheduler,
                                                  const BatchingParameters& parameters,
                                                  MetricRegistry& metrics) {
  return std::make_shared<BatchingServable>(std::move(servable), std::move(scheduler), parameters,
                                            metrics);
}

}  // namespace tenon::serving
