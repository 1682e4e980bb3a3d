// One reference case, ready to run under any setting.
#pragma once

#include "tenon/saved_model/saved_model.h"
#include "tests/differential/known_shapes_pb.h"
#include "tests/differential/reference_cases.h"

namespace tenon::differential {

// What a run gave.
struct Outcome {
  Status status;
  std::vector<std::string> names;
  std::vector<Tensor> results;
};

// Not thread-safe. `one` must outlive it.
class CaseRunner {
 public:
  explicit CaseRunner(const ReferenceCase& one) : case_(one) {}

  // The case's inputs in the order of the signature, what it leaves out filled in. Empty before the
  // model could be loaded.
  StatusOr<std::vector<Tensor>> arguments();

  // Runs them, or others in their place. A model whose runs leave something behind is loaded anew
  // for each.
  Outcome run(const Setting& setting, const std::vector<Tensor>& arguments);

  // Does the engine call the signature row-independent, told that much of the shapes?
  bool may_merge_rows(const Setting& setting);

 private:
  struct Function {
    std::shared_ptr<SavedModel> model;
    std::shared_ptr<Executable> executable;
    bool leaves_traces = false;
  };
  StatusOr<std::shared_ptr<SavedModel>> load();
  StatusOr<Function> make(const Setting& setting);
  StatusOr<Graph> extract(const SavedModel& model, const Signature& signature, Known known);
  StatusOr<Function*> function(const Setting& setting);
  Status run_function(const Setting& setting, const std::vector<Tensor>& arguments,
                      Outcome& outcome);

  const ReferenceCase& case_;
  std::shared_ptr<SavedModel> model_;  // kept where no run leaves traces
  std::map<std::tuple<bool, Known, int>, Function> functions_;
};

}  // namespace tenon::differential
