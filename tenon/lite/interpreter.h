// Interpreter: a `.tflite` ready to run, without a SavedModel between: what tenon/lite.h offers
// in C.
//
// It holds the variables of one session and the tensors that its caller reads and writes. One
// thread at a time uses an interpreter; different ones share nothing but the file and run side by
// side. From the second run with the same shapes on, runs of models without variables and recurrent
// layers allocate nothing.
#pragma once

#include "tenon/lite/signatures.h"
#include "tenon/lite/subgraph.h"
#include "tenon/runtime/executable.h"

namespace tenon::lite {

// A tensor of the interpreter as its caller sees it.
struct TensorView {
  const NamedTensor* named = nullptr;
  const Tensor* tensor = nullptr;  // null: an output that no run has computed
  void* data = nullptr;            // writable where it is an input's
  float scale = 0;                 // by tensor; 0: not quantised, or by channel
  int64_t zero_point = 0;
};

class Interpreter {
 public:
  // Plans no signature yet, but knows each operator of all: UNIMPLEMENTED names one that is not
  // there.
  static StatusOr<std::unique_ptr<Interpreter>> create(std::shared_ptr<const ModelFile> file);
  ~Interpreter();

  const std::vector<LiteSignature>& signatures() const { return signatures_; }
  const LiteSignature& signature() const { return signatures_[selected_]; }

  // What inputs, outputs and invoke() are of; the first one at the beginning. Each keeps its
  // tensors. NOT_FOUND lists the signatures there are.
  Status select(std::string_view signature);

  // `index` is in range.
  StatusOr<TensorView> input(size_t index);
  StatusOr<TensorView> output(size_t index);

  // A new shape of an input, whose elements are then 0. INVALID_ARGUMENT where it has another rank
  // than the file says.
  Status resize(size_t index, std::span<const int64_t> dims);
  Status set_strings(size_t index, std::span<const std::string_view> texts);

  Status invoke();

  // Variables as they were at the beginning.
  Status reset();

 private:
  struct Session;  // one signature's
  explicit Interpreter(std::shared_ptr<const ModelFile> file);
  Status translate();
  StatusOr<Session*> session();
  StatusOr<std::unique_ptr<Session>> make_session(const LiteSignature& signature);
  StatusOr<std::shared_ptr<Executable>> executable(int subgraph);
  TensorView view(const LiteSignature& signature, const NamedTensor& named) const;

  std::shared_ptr<const ModelFile> file_;
  SubgraphFunctions functions_;
  std::shared_ptr<ModelState> state_;
  std::vector<LiteSignature> signatures_;
  std::vector<std::unique_ptr<Session>> sessions_;  // by signature; null: not used yet
  size_t selected_ = 0;
};

}  // namespace tenon::lite
