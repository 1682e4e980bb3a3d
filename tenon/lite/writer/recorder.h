// The values that a `.tflite`'s tensors have on representative data: what its ranges and the losses
// of quantisation are found from.
#pragma once

#include "tenon/lite/writer/lite_model.h"
#include "tenon/saved_model/saved_model.h"

namespace tenon::lite {

// By the names of a signature's inputs; dimension 0 counts the examples.
using NamedArrays = std::span<const std::pair<std::string, Tensor>>;

// Not thread-safe.
class Recorder {
 public:
  // Of subgraph `index`, which a signature names: gives the values of `tensors`, all of them
  // computed or inputs. INVALID_ARGUMENT where `arrays` lack an input or do not fit it.
  static StatusOr<Recorder> create(const LiteModel& model, int index, std::vector<int> tensors,
                                   NamedArrays arrays);

  int num_batches() const { return batches_; }
  // The values on batch `index`, in the order of `tensors`.
  Status run(int index, std::vector<Tensor>& values);

 private:
  Recorder() = default;

  std::shared_ptr<SavedModel> model_;
  std::shared_ptr<Executable> executable_;
  std::vector<Tensor> arrays_;  // in the order of the signature
  std::vector<size_t> place_;   // of each tensor among the results
  int64_t batch_ = 1;
  int batches_ = 0;
};

}  // namespace tenon::lite
