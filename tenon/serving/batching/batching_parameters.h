// How requests are merged: tensorflow.serving.BatchingParameters, with TensorFlow Serving's
// defaults and rules.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tenon/base/status.h"

namespace tenon::serving {

struct BatchingParameters {
  int64_t max_batch_size = 1000;     // rows of one request, and of a batch unless split
  int64_t timeout_microseconds = 0;  // a batch waits so long for more rows
  int64_t max_enqueued_batches = 10;
  int num_threads = 0;  // that run batches; 0: one for each CPU
  std::string thread_pool_name = "batch_threads";
  bool split_large = false;  // requests beyond max_execution_batch_size are cut
  int64_t max_execution_batch_size = 1000;
  std::vector<int64_t> allowed_sizes;  // ascending; batches are filled up to one of them
  bool pad_variable_length = false;    // rows of other shapes are padded, else refused

  // The smallest allowed size for `rows`; `rows` where there is none.
  int64_t allowed_size(int64_t rows) const;
};

// What is used where no file says anything.
BatchingParameters default_batching_parameters();

// From text. INVALID_ARGUMENT with TensorFlow Serving's texts for what contradicts itself.
StatusOr<BatchingParameters> parse_batching_parameters(const std::string& text,
                                                       std::string_view where);

}  // namespace tenon::serving
