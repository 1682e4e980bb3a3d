// Metric: what the batches of an epoch come to. Keras' metrics.
//
// Each is a function of sums over the batches: a mean of a total and a count, an AUC of how many
// rows lie above each threshold. The graph of a step adds to the sums, which are variables, and
// computes the result of them; several replicas add theirs up before that.
//
// A metric is a class in metrics/ and a row in metrics/table.cc.
#pragma once

#include "tenon/keras/loss.h"

namespace tenon::keras {

class Metric {
 public:
  // Which way is better; kUnknown where the metric does not say (TruePositives).
  enum class Direction : uint8_t { kUnknown, kUp, kDown };

  // 0 when an epoch starts.
  struct Sum {
    std::string_view name;
    Shape shape = {};
    DType dtype = DType::kFloat;
  };

  // `sample_weight`, of rows or of positions too, and `mask`, of the predictions, may be invalid:
  // none.
  struct Batch {
    Endpoint y_true = {}, y_pred = {}, sample_weight = {}, mask = {};
  };

  virtual ~Metric() = default;

  // "AUC": Keras' name of the class.
  virtual std::string_view class_name() const = 0;
  virtual void fields(ConfigFields& fields) { (void)fields; }
  // INVALID_ARGUMENT for options that Keras' constructor refuses. After they are set.
  virtual Status check() { return absl::OkStatus(); }
  virtual Direction direction() const { return Direction::kUp; }

  // For targets and predictions of these shapes. INVALID_ARGUMENT where they are none of its.
  virtual StatusOr<std::vector<Sum>> sums(const PartialShape& y_true,
                                          const PartialShape& y_pred) const = 0;
  // What a batch adds to each sum, of its shape and dtype.
  virtual std::vector<Endpoint> addends(GraphBuilder& build, const Batch& batch) const = 0;
  // A float32 scalar, or a vector.
  virtual Endpoint result(GraphBuilder& build, std::span<const Endpoint> sums) const = 0;

  const std::string& name() const { return name_; }
  // Under which it is reported; variables are named after it. Before build().
  void rename(std::string name) { name_ = std::move(name); }

  // Makes the sums. Once.
  Status build(const PartialShape& y_true, const PartialShape& y_pred);
  std::span<Weight> state() { return state_; }
  std::span<const Weight> state() const { return state_; }

  // Adds a batch to the sums; a replica without rows of its own adds nothing.
  void update(Trace& trace, const Batch& batch) const;
  // Of the sums so far.
  Endpoint result(Trace& trace) const;

 protected:
  friend StatusOr<std::shared_ptr<Metric>> metric_from_json(const Json& json,
                                                            const PartialShape& y_true,
                                                            const PartialShape& y_pred);
  // As the config says, null where it says nothing. Sums of floats are float32 whatever it is.
  Json dtype_;

 private:
  std::string name_;
  std::vector<Weight> state_;
};

using MetricPtr = std::shared_ptr<Metric>;

// From Keras' JSON: a name or a serialised object. "accuracy" becomes the binary, categorical or
// sparse one by the shapes of targets and predictions, as in Keras. The names of losses are metrics
// too. UNIMPLEMENTED names what exists; INVALID_ARGUMENT where Keras' constructor or compile()
// refuses it.
StatusOr<MetricPtr> metric_from_json(const Json& json, const PartialShape& y_true,
                                     const PartialShape& y_pred);

// The mean of what the predictions are, by weight: of a loss over batches, by their rows.
MetricPtr loss_mean(std::string name);

}  // namespace tenon::keras
