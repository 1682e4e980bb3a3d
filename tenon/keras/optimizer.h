// Optimizer: how gradients change weights. Keras' optimizers, formulas and state, as graph ops
// (formats.md 11.4). An optimizer is one file in optimizers/ and one row in optimizers/table.cc.
#pragma once

#include "tenon/keras/optimizers/weight_gradient.h"

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

// INVALID_ARGUMENT or UNIMPLEMENTED, by name, where a serialised schedule is none that works.
Status check_schedule(const Json& schedule);

// Options that every optimizer has; at most one of the clips may be set.
struct GradientOptions {
  std::optional<double> weight_decay = {}, clipnorm = {}, global_clipnorm = {}, clipvalue = {};
  // Moving averages of the weights, which take their place after every so many updates, and when
  // training ends.
  bool use_ema = false;
  double ema_momentum = 0.99;
  std::optional<int64_t> ema_overwrite_frequency = {};
  // Losses are multiplied by it, and gradients divided.
  std::optional<double> loss_scale_factor = {};
  // An update is made of the mean gradient of so many steps, the last of them.
  std::optional<int64_t> gradient_accumulation_steps = {};
};

// Of Keras' LossScaleOptimizer: the scale is doubled after so many steps with finite gradients, and
// halved by one without.
struct LossScaleOptions {
  double initial_scale = 32768;
  int64_t dynamic_growth_steps = 2000;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;

  virtual std::string_view class_name() const = 0;
  // The options that are this optimizer's own.
  virtual void own_fields(ConfigFields& fields) = 0;
  // INVALID_ARGUMENT for options that Keras' constructor refuses, UNIMPLEMENTED for those that are
  // not honoured. After they are set.
  virtual Status check() const;
  // Names of the state kept for each weight. The names of one group lie side by side for each
  // weight, groups one after the other: Adam's is {{"momentum", "velocity"}}.
  virtual std::vector<std::vector<std::string>> slots() const = 0;

  // Makes iterations, learning_rate and slots for these weights. Once.
  void build(std::span<Weight* const> weights);
  bool built() const { return built_; }

  // Losses are scaled from now on, for models that compute in float16. Before build().
  void scale_losses(const LossScaleOptions& options) {
    loss_scale_ = options;
    options_.loss_scale_factor.reset();  // as in Keras
  }
  // What gradients are to be taken of: `loss`, scaled where losses are.
  Endpoint scale_loss(Trace& trace, Endpoint loss) const;

  // Adds the ops of one step: clipping, weight decay, the update, iterations += 1. A gradient that
  // is invalid leaves its weight as it is.
  // `combine`, if given, is what happens to the clipped gradients before they are applied: to
  // values of the shapes of these weights.
  using Combine =
      std::function<std::vector<Endpoint>(std::span<const Endpoint>, std::span<Weight* const>)>;
  void apply(Trace& trace, std::span<const WeightGradient> gradients, const Combine& combine = {});
  // Are gradients kept from step to step? What combine() is given is then that of a replica without
  // rows too.
  bool accumulates() const { return options_.gradient_accumulation_steps.value_or(0) > 0; }
  // Makes the moving averages, where there are any, the weights: when training ends.
  Status take_averages() const;

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
  // A gradient of the weight's shape. `size` is what Keras takes for size_of_rows() of it where
  // that is another value (see WeightGradient), else invalid.
  struct Applied {
    Endpoint gradient, size;
  };
  // Adds the update of weight `index`.
  virtual void update(const Step& step, size_t index, const Applied& applied) = 0;
  // The op by which the optimizer measures gradients, if it does.
  virtual std::string_view size_of_rows() const { return "Square"; }
  virtual Initializer slot_initializer(std::string_view name) const {
    (void)name;
    return "zeros";
  }
  struct SlotForm {
    Shape shape;
    DType dtype;
  };
  // Nothing where `weight` has no such slot.
  virtual std::optional<SlotForm> slot_form(const Weight& weight, std::string_view name) const {
    (void)name;
    return SlotForm{weight.shape, weight.dtype};
  }
  // How much of a weight each update takes off it, by the learning rate.
  virtual std::optional<double> decay_of(const Weight& weight) const {
    (void)weight;
    return options_.weight_decay;
  }
  // State that is one number for all weights, kept behind the slots.
  struct Scalar {
    std::string_view name;
    double initial;
  };
  virtual std::vector<Scalar> scalars() const { return {}; }

  const Weight& weight(size_t index) const { return *weights_[index]; }
  const Weight& slot(size_t index, std::string_view name) const {
    return state_[slots_at_.at({index, std::string(name)})];
  }
  bool has_slot(size_t index, std::string_view name) const {
    return slots_at_.count({index, std::string(name)}) > 0;
  }
  const Weight& scalar(size_t index) const {
    return state_[state_.size() - scalars().size() + index];
  }

  Optimizer(LearningRate rate, const GradientOptions& options)
      : rate_(std::move(rate)), options_(options) {}
  const LearningRate& rate() const { return rate_; }
  std::optional<double> weight_decay() const { return options_.weight_decay; }

 private:
  using Values = std::vector<std::pair<const Weight*, Endpoint>>;
  // Gradients of the loss itself, and what a step without finite ones leaves as it was.
  struct Unscaled {
    std::vector<WeightGradient> gradients;
    Endpoint finite;
    Values before;
  };
  // The sums of gradients so far, and what a step that makes no update of them leaves as it was.
  struct Accumulated {
    Endpoint complete;  // a bool: this step makes the update
    std::vector<Endpoint> sums;
    Values before;
  };
  // Of all weights and all state, now.
  Values values_of_all(Trace& trace) const;
  // Gives those that have been written since their values back, unless `condition` holds.
  static void restore_unless(Trace& trace, Endpoint condition, const Values& before);
  // gradient_accumulation.cc
  Accumulated accumulate(Trace& trace, std::vector<WeightGradient>& gradients) const;
  void settle(Trace& trace, const Accumulated& accumulated) const;
  // moving_average.cc
  void average(Trace& trace, Endpoint updates) const;
  // loss_scale.cc
  void build_loss_scale();
  Unscaled unscale(Trace& trace, std::span<const WeightGradient> gradients) const;
  void settle(Trace& trace, const Unscaled& unscaled) const;
  Json describe_loss_scale(Json inner) const;

  void clip(GraphBuilder& build, std::vector<WeightGradient>& gradients) const;
  std::vector<Applied> sum(GraphBuilder& build, std::span<const WeightGradient> gradients,
                           const Combine& combine) const;

  LearningRate rate_;
  GradientOptions options_;
  bool built_ = false;
  std::vector<Weight*> weights_;
  std::vector<Weight> state_;
  size_t averages_at_ = 0, accumulators_at_ = 0;  // in state_, one for each weight
  std::map<std::pair<size_t, std::string>, size_t> slots_at_;
  std::optional<LossScaleOptions> loss_scale_;
  std::vector<Weight> scale_state_;  // iterations, learning_rate, step_counter, dynamic_scale
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
struct AdagradOptions {
  LearningRate learning_rate = 0.001;
  double initial_accumulator_value = 0.1, epsilon = 1e-7;
  GradientOptions gradient = {};
};
struct RMSpropOptions {
  LearningRate learning_rate = 0.001;
  double rho = 0.9, momentum = 0.0, epsilon = 1e-7;
  bool centered = false;
  GradientOptions gradient = {};
};
// Of Adamax, Lamb and Nadam.
struct MomentsOptions {
  LearningRate learning_rate = 0.001;
  double beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-7;
  GradientOptions gradient = {};
};
struct AdadeltaOptions {
  LearningRate learning_rate = 0.001;
  double rho = 0.95, epsilon = 1e-7;
  GradientOptions gradient = {};
};
struct FtrlOptions {
  LearningRate learning_rate = 0.001;
  double learning_rate_power = -0.5, initial_accumulator_value = 0.1;
  double l1_regularization_strength = 0, l2_regularization_strength = 0;
  double l2_shrinkage_regularization_strength = 0, beta = 0;
  GradientOptions gradient = {};
};
struct AdafactorOptions {
  LearningRate learning_rate = 0.001;
  double beta_2_decay = -0.8, epsilon_1 = 1e-30, epsilon_2 = 1e-3, clip_threshold = 1;
  GradientOptions gradient = {};
};
// Matrices are updated by Muon, the rest and embeddings by AdamW.
struct MuonOptions {
  LearningRate learning_rate = 0.001;
  double momentum = 0.95;
  GradientOptions gradient = {.weight_decay = 0.004};
};
struct LionOptions {
  LearningRate learning_rate = 0.001;
  double beta_1 = 0.9, beta_2 = 0.99;
  GradientOptions gradient = {};
};
OptimizerPtr SGD(SGDOptions options = {});
OptimizerPtr Adam(AdamOptions options = {});
// Adam with decoupled decay, 0.004 unless options.gradient.weight_decay says otherwise.
OptimizerPtr AdamW(AdamOptions options = {});
OptimizerPtr Adagrad(AdagradOptions options = {});
OptimizerPtr RMSprop(RMSpropOptions options = {});
OptimizerPtr Adadelta(AdadeltaOptions options = {});
OptimizerPtr Adamax(MomentsOptions options = {});
OptimizerPtr Ftrl(FtrlOptions options = {});
OptimizerPtr Lamb(MomentsOptions options = {});
OptimizerPtr Lion(LionOptions options = {});
OptimizerPtr Adafactor(AdafactorOptions options = {});
OptimizerPtr Muon(MuonOptions options = {});
OptimizerPtr Nadam(MomentsOptions options = {});

// `inner`, with losses scaled.
OptimizerPtr LossScaleOptimizer(OptimizerPtr inner, LossScaleOptions options = {});

// From Keras' JSON: a name ("adam") or a serialised object. UNIMPLEMENTED names what exists.
StatusOr<OptimizerPtr> optimizer_from_json(const Json& json);

}  // namespace tenon::keras
