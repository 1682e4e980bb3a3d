#include "tenon/serving/traffic/shadow.h"

#include "tenon/base/log.h"
#include "tenon/base/out_of_memory.h"
#include "tenon/runtime/run_turn.h"
#include "tenon/serving/predict.h"

namespace tenon::serving {
namespace {

constexpr auto kLongestRepeat = std::chrono::seconds(60);

int index_of(const std::vector<TensorSpec>& specs, std::string_view name) {
  for (size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

// The tensors of `prediction` as `signature` wants them, found by their names.
StatusOr<std::vector<Tensor>> inputs_for(const Signature& signature, const Prediction& prediction) {
  std::vector<Tensor> inputs(signature.inputs.size());
  for (size_t i = 0; i < prediction.inputs.size(); ++i) {
    const std::string& name = prediction.signature->inputs[i].name;
    const int index = index_of(signature.inputs, name);
    if (index < 0) return failed_precondition("the shadow lacks the input '", name, "'");
    inputs[static_cast<size_t>(index)] = prediction.inputs[i];
  }
  return inputs;
}

StatusOr<std::vector<int>> outputs_for(const Signature& signature, const Prediction& prediction) {
  std::vector<int> outputs;
  for (const int output : prediction.outputs) {
    const std::string& name = prediction.signature->outputs[static_cast<size_t>(output)].name;
    const int index = index_of(signature.outputs, name);
    if (index < 0) return failed_precondition("the shadow lacks the output '", name, "'");
    outputs.push_back(index);
  }
  return outputs;
}

}  // namespace

StatusOr<std::map<std::string, ModelSpec>> parse_shadows(std::string_view text) {
  std::map<std::string, ModelSpec> shadows;
  for (const std::string_view piece : split(text, ',')) {
    const size_t colon = piece.rfind(':');
    const std::string_view which = colon == piece.npos ? "" : piece.substr(colon + 1);
    ModelSpec spec;
    spec.name = piece.substr(0, colon);
    int64_t version = 0;
    if (parse_number(which, version)) {
      spec.version = version;
    } else {
      spec.label = which;
    }
    if (spec.name.empty() || which.empty()) {
      return invalid_argument("'", piece,
                              "' names no shadow; expected MODEL:VERSION or MODEL:LABEL");
    }
    if (!shadows.emplace(spec.name, spec).second) {
      return invalid_argument("model ", spec.name, " has two shadows; expected one at most");
    }
  }
  return shadows;
}

Shadow::Shadow(const ShadowOptions& options)
    : options_(options),
      counts_(options.metrics->counter("/tensorflow/serving/shadow_count",
                                       {"model_name", "version", "result"})),
      drifts_(options.metrics->histogram("/tensorflow/serving/shadow_drift",
                                         {"model_name", "version"},
                                         exponential_limits(1e-9, 10, 13))) {}

StatusOr<std::unique_ptr<Shadow>> Shadow::start(const ShadowOptions& options) {
  std::unique_ptr<Shadow> shadow(new Shadow(options));
  TENON_ASSIGN_OR_RETURN(shadow->queue_,
                         PredictionQueue::start(options.queue_bytes,
                                                [raw = shadow.get()](const Prediction& prediction) {
                                                  raw->repeat(prediction);
                                                }));
  return shadow;
}

Shadow::~Shadow() { detach(); }

void Shadow::detach() {
  cancelled_ = true;
  if (queue_) queue_->stop(std::chrono::milliseconds(0));
  models_ = nullptr;
}

void Shadow::predicted(const PredictionView& prediction) {
  const ServedVersion& served = *prediction.served;
  const auto spec = options_.shadows.find(served.model);
  const ServedModels* const models = models_;
  if (spec == options_.shadows.end() || models == nullptr) return;
  if (spec->second.version && *spec->second.version == served.version) return;
  if (queue_->add(prediction)) return;
  const auto shadow = models->find(spec->second);
  if (!shadow.ok() || (*shadow)->version == served.version) return;
  counts_.cell({served.model, cat((*shadow)->version), "dropped"}).add();
}

void Shadow::repeat(const Prediction& prediction) {
  const ServedModels* const models = models_;
  if (models == nullptr || cancelled_) return;
  const auto shadow = models->find(options_.shadows.at(prediction.served->model));
  if (!shadow.ok()) return log_at_times(message_of(shadow.status()));
  // One that has been promoted is none.
  if ((*shadow)->version == prediction.served->version) return;
  Outcome outcome;
  const Status status = or_out_of_memory([&]() -> Status {
    outcome = compare(prediction, **shadow);
    return absl::OkStatus();
  });
  if (!status.ok()) outcome.status = status;
  if (!cancelled_) count(**shadow, prediction, outcome);
}

Shadow::Outcome Shadow::compare(const Prediction& prediction, const ServedVersion& shadow) const {
  Outcome outcome;
  const Servable& servable = shadow.servable->unmerged();
  const Signature* const signature = find_signature(servable, prediction.signature->name);
  if (signature == nullptr) {
    outcome.status =
        failed_precondition("the shadow has no signature '", prediction.signature->name, "'");
    return outcome;
  }
  const auto run = [&]() -> StatusOr<std::vector<Tensor>> {
    TENON_ASSIGN_OR_RETURN(std::vector<Tensor> inputs, inputs_for(*signature, prediction));
    TENON_ASSIGN_OR_RETURN(const std::vector<int> outputs, outputs_for(*signature, prediction));
    const RunLimits limits{.deadline = std::chrono::steady_clock::now() + kLongestRepeat,
                           .cancelled = &cancelled_};
    const RunBeside beside(limits);
    return run_predict(servable, prediction.kind, *signature, std::move(inputs), outputs, limits);
  };
  const StatusOr<std::vector<Tensor>> results = run();
  outcome.status = results.status();
  outcome.ran = results.ok();
  for (size_t i = 0; outcome.ran && i < results->size(); ++i) {
    const auto output = static_cast<size_t>(prediction.outputs[i]);
    const std::string& name = prediction.signature->outputs[output].name;
    const OutputDrift drift = compare_output((*results)[i], prediction.results[i],
                                             servable.tolerance(signature->name, name));
    outcome.drift = std::max(outcome.drift, drift.drift);
    if (outcome.status.ok() && !drift.passed) {
      outcome.status = with_context(drift.status, cat("output '", name, "'"));
    }
  }
  return outcome;
}

void Shadow::count(const ServedVersion& shadow, const Prediction& prediction,
                   const Outcome& outcome) {
  const std::string version = cat(shadow.version);
  const std::string_view result = !outcome.ran          ? "error"
                                  : outcome.status.ok() ? "match"
                                                        : "mismatch";
  counts_.cell({shadow.model, version, result}).add();
  if (outcome.ran) drifts_.cell({shadow.model, version}).observe(outcome.drift);
  if (outcome.status.ok()) return;
  log_at_times(cat("version ", version, " of model ", shadow.model, " differs from version ",
                   prediction.served->version, ", signature ", prediction.signature->name, ": ",
                   message_of(outcome.status)));
}

void Shadow::log_at_times(std::string_view what) {
  constexpr auto kBetweenLines = std::chrono::seconds(1);
  const auto now = std::chrono::steady_clock::now();
  if (now < said_at_ + kBetweenLines) return;
  said_at_ = now;
  log_warning("shadow: ", what);
}

}  // namespace tenon::serving
