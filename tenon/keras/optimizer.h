// Optimizer: how gradients change weights. Keras' optimizers, formulas and state, as graph ops
// (formats.md 11.4). An optimizer is one file in optimizers/ and one row in optimizers/table.cc.
#pragma once

#include "tenon/keras/layer.h"

namespace tenon::keras {

// A learning rate: a number, or a schedule as Keras serialises it ("ExponentialDecay", ...).
class LearningRate {
 public:
  LearningRate(double value) : value_(value) {}  // NOLINT: implicit
  explicit LearningRate(Json schedule) : schedule_(std::move(schedule)) {}
  bool is_schedule() const { return !schedule_.is_null(); }
  double value() const { return value_; }
  const Json& schedule() const { return schedule_; }
  // The rate at step `iterations` (int64 scalar), of a schedule. UNIMPLEMENTED through `build`.
  Endpoint at(GraphBuilder& build, Endpoint iterations) const;

 private:
  double value_ = 0;
  Json schedule_;
};

// Options that every optimizer has; at most one of the clips may be set.
struct GradientOptions {
  std::optional<double> weight_decay = {}, clipnorm = {}, global_clipnorm = {}, clipvalue = {};
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  virtual std::string_view class_name() const = 0;
  // The options that are this optimizer's own.
  virtual void own_fields(ConfigFields& fields) = 0;
  // Names of the state kept for each weight. The names of one group lie side by side for each
  // weight, groups one after the other: Adam's is {{"momentum", "velocity"}}.
  virtual std::vector<std::vector<std::string>> slots() const = 0;

  // Makes iterations, learning_rate and slots for these weights. Once.
  void build(std::span<Weight* const> weights);
  bool built() const { return built_; }

  // Adds the ops of one step: clipping, weight decay, the update, iterations += 1. A gradient that
  // is invalid leaves its weight as it is.
  // `combine`, if given, is what happens to the clipped gradients before they are applied.
  using Combine = std::function<std::vector<Endpoint>(std::span<const Endpoint>)>;
  void apply(Trace& trace, std::span<const Endpoint> gradients, const Combine& combine = {});

  // In the order in which Keras stores them.
  std::vector<Weight*> variables();
  const Weight& iterations() const { return state_[0]; }
  // Null when a schedule gives the rate.
  const Weight* learning_rate() const { return rate_.is_schedule() ? nullptr : &state_[1]; }

  void fields(ConfigFields& fields);
  Json describe() const;

 protected:
  // What one step needs to know besides weight and gradient.
  struct Step {
    Trace& trace;
    Endpoint rate;   // float32 scalar
    Endpoint count;  // iterations + 1, float32
  };
  // Called once a step, before update().
  virtual void begin(const Step& step) { (void)step; }
  // Adds the update of weight `index`.
  virtual void update(const Step& step, size_t index, Endpoint gradient) = 0;

  const Weight& weight(size_t index) const { return *weights_[index]; }
  const Weight& slot(size_t index, std::string_view name) const;

  Optimizer(LearningRate rate, const GradientOptions& options)
      : rate_(std::move(rate)), options_(options) {}

 private:
  std::vector<Endpoint> clip(GraphBuilder& build, std::vector<Endpoint> gradients) const;

  LearningRate rate_;
  GradientOptions options_;
  bool built_ = false;
  std::vector<Weight*> weights_;
  std::vector<Weight> state_;
};

using OptimizerPtr = std::shared_ptr<Optimizer>;

struct SGDOptions {
  LearningRate learning_rate = 0.01;
  double momentum = 0.0;
  bool nesterov = false;
  GradientOptions gradient = {};
};
struct AdamOptions {
  LearningRate learning_rate = 0.001;
  double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-7;
  bool amsgrad = false;
  GradientOptions gradient = {};
};
struct RMSpropOptions {
  LearningRate learning_rate = 0.001;
  double rho = 0.9, momentum = 0.0, epsilon = 1e-7;
  bool centered = false;
  GradientOptions gradient = {};
};
OptimizerPtr SGD(SGDOptions options = {});
OptimizerPtr Adam(AdamOptions options = {});
// Adam with decoupled decay, 0.004 unless options.gradient.weight_decay says otherwise.
OptimizerPtr AdamW(AdamOptions options = {});
OptimizerPtr RMSprop(RMSpropOptions options = {});

// From Keras' JSON: a name ("adam") or a serialised object. UNIMPLEMENTED names what exists.
StatusOr<OptimizerPtr> optimizer_from_json(const Json& json);

}  // namespace tenon::keras
