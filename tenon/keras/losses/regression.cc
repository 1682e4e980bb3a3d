#include "tenon/keras/losses/builtin.h"

namespace tenon::keras {

namespace {

// Losses that are the mean over the last axis of a function of the difference.
struct DifferenceRow {
  std::string_view class_name;
  std::string_view name;
  std::string_view op;  // of y_pred - y_true
};
constexpr DifferenceRow kSquared = {"MeanSquaredError", "mean_squared_error", "Square"};
constexpr DifferenceRow kAbsolute = {"MeanAbsoluteError", "mean_absolute_error", "Abs"};

class DifferenceLoss final : public Loss {
 public:
  explicit DifferenceLoss(const DifferenceRow& row) : row_(row) {}
  std::string_view class_name() const override { return row_.class_name; }
  std::string_view name() const override { return row_.name; }
  Endpoint values(GraphBuilder& g, Endpoint y_true, Endpoint y_pred) const override {
    const auto [target, output] = losses::standardize(g, y_true, y_pred);
    const Endpoint each = g.op(row_.op, {g.sub(target, output)});
    if (!g.status().ok()) return {};
    const int64_t last[] = {g.shape(each).rank() - 1};
    return g.mean(each, last);
  }

 private:
  const DifferenceRow& row_;
};

}  // namespace

LossPtr MeanSquaredError() { return std::make_shared<DifferenceLoss>(kSquared); }
LossPtr MeanAbsoluteError() { return std::make_shared<DifferenceLoss>(kAbsolute); }

}  // namespace tenon::keras
