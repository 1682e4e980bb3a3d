#include <algorithm>
#include <limits>

#include "tenon/serving/batching/batching_parameters.h"
#include "tenon/serving/model_config.h"
#include "tensorflow_serving/servables/tensorflow/session_bundle_config.pb.h"

namespace tenon::serving {
namespace {

// Rules of servables/tensorflow/bundle_factory_util.cc and of the batch scheduler.
Status check(const BatchingParameters& batching) {
  if (batching.max_batch_size <= 0) {
    return invalid_argument("max_batch_size must be positive; was ", batching.max_batch_size);
  }
  if (batching.timeout_microseconds < 0) {
    return invalid_argument("batch_timeout_micros must be non-negative; was ",
                            batching.timeout_microseconds);
  }
  if (batching.max_enqueued_batches < 0) {
    return invalid_argument("max_enqueued_batches must be non-negative; was ",
                            batching.max_enqueued_batches);
  }
  if (batching.max_execution_batch_size <= 0 ||
      batching.max_execution_batch_size > batching.max_batch_size) {
    return invalid_argument("max_execution_batch_size must be positive and at most max_batch_size ",
                            batching.max_batch_size, "; was ", batching.max_execution_batch_size);
  }
  const std::vector<int64_t>& allowed = batching.allowed_sizes;
  for (size_t i = 0; i < allowed.size(); ++i) {
    if (allowed[i] <= (i == 0 ? 0 : allowed[i - 1])) {
      return invalid_argument(
          "allowed_batch_sizes entries must be positive and monotonically increasing; entry ", i,
          " is ", allowed[i]);
    }
  }
  if (allowed.empty() || allowed.back() == batching.max_execution_batch_size) {
    return absl::OkStatus();
  }
  return invalid_argument("Last entry in allowed_batch_sizes must match ",
                          batching.split_large ? "max_execution_batch_size" : "max_batch_size",
                          "; last entry was ", allowed.back(), "; expected ",
                          batching.max_execution_batch_size);
}

}  // namespace

int64_t BatchingParameters::allowed_size(int64_t rows) const {
  const auto place = std::lower_bound(allowed_sizes.begin(), allowed_sizes.end(), rows);
  return place == allowed_sizes.end() ? rows : *place;
}

BatchingParameters default_batching_parameters() {
  BatchingParameters batching;
  batching.thread_pool_name = "model_server_batch_threads";
  return batching;
}

StatusOr<BatchingParameters> parse_batching_parameters(const std::string& text,
                                                       std::string_view where) {
  tensorflow::serving::BatchingParameters message;
  TENON_RETURN_IF_ERROR(parse_text_message(text, where, message));
  BatchingParameters batching;
  if (message.has_max_batch_size()) batching.max_batch_size = message.max_batch_size().value();
  batching.timeout_microseconds = message.batch_timeout_micros().value();
  if (message.has_max_enqueued_batches()) {
    batching.max_enqueued_batches = message.max_enqueued_batches().value();
  }
  if (message.has_num_batch_threads()) {
    const int64_t threads = message.num_batch_threads().value();
    if (threads < 1 || threads > std::numeric_limits<int16_t>::max()) {
      return invalid_argument("num_batch_threads must be positive; was ", threads, " in ", where);
    }
    batching.num_threads = static_cast<int>(threads);
  }
  if (message.has_thread_pool_name()) {
    batching.thread_pool_name = message.thread_pool_name().value();
  }
  batching.split_large = message.enable_large_batch_splitting().value();
  batching.max_execution_batch_size = batching.split_large && message.has_max_execution_batch_size()
                                          ? message.max_execution_batch_size().value()
                                          : batching.max_batch_size;
  batching.allowed_sizes.assign(message.allowed_batch_sizes().begin(),
                                message.allowed_batch_sizes().end());
  batching.pad_variable_length = message.pad_variable_length_inputs();
  TENON_RETURN_IF_ERROR(with_context(check(batching), where));
  return batching;
}

}  // namespace tenon::serving
