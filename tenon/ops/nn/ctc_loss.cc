// CTCLoss (A. Graves et al., "Connectionist temporal classification", 2006): the negative logarithm
// of the probability of a label sequence, and its slope. The last class is the blank.
#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/sparse/coordinates.h"

namespace tenon {
namespace {

Status ctc_loss_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 3));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(3, 1));
  const PartialShape& x = c.input(0);
  const PartialShape& indices = c.input(1);
  const PartialShape& values = c.input(2);
  if (indices.has_rank() && values.has_rank() &&
      !PartialShape::merge({indices[0]}, {values[0]}).ok()) {
    return invalid_argument("labels_indices has ", indices[0], " rows, labels_values ", values[0]);
  }
  if (indices.has_rank() && indices[1] >= 0 && indices[1] != 2) {
    return invalid_argument("labels_indices must have two columns, its shape is ", indices);
  }
  const PartialShape& lengths = c.input(3);
  if (x.has_rank() && lengths.has_rank() && !PartialShape::merge({x[1]}, {lengths[0]}).ok()) {
    return invalid_argument("sequence_length has ", lengths[0], " elements, the batch ", x[1]);
  }
  c.set_output(0, {x.has_rank() ? x[1] : -1});
  c.set_output(1, x);
  return absl::OkStatus();
}

struct CtcRule {
  bool collapse, merge, ignore_longer;
};

// log(exp(a) + exp(b)), also of logarithms of zero.
double add_logs(double a, double b) {
  const double most = std::max(a, b), least = std::min(a, b);
  return std::isinf(least) ? most : most + std::log1p(std::exp(least - most));
}

constexpr double kNoPath = -std::numeric_limits<double>::infinity();

// The sums over the paths of one sequence, in logarithms.
class CtcPaths {
 public:
  // `log_y` is [time, classes].
  CtcPaths(std::span<const int32_t> labels, std::span<const double> log_y, int64_t time,
           int64_t classes, bool merge)
      : log_y_(log_y), time_(time), classes_(classes), merge_(merge) {
    const auto blank = static_cast<int32_t>(classes - 1);
    for (int32_t label : labels) {
      states_.push_back(blank);
      states_.push_back(label);
    }
    states_.push_back(blank);
    forward();
    backward();
  }

  double log_probability() const { return total_; }

  // The logarithm of the probability of being at `label` at step `t`, of all paths.
  double log_at(int64_t t, int64_t label) const {
    double sum = kNoPath;
    for (size_t u = 0; u < states_.size(); ++u) {
      if (states_[u] == label) sum = add_logs(sum, alpha_[at(t, u)] + beta_[at(t, u)]);
    }
    return sum;
  }

 private:
  size_t at(int64_t t, size_t u) const { return static_cast<size_t>(t) * states_.size() + u; }
  bool is_blank(size_t u) const { return u % 2 == 0; }
  bool may_stay(size_t u) const { return merge_ || is_blank(u); }
  // From the label before, over the blank between.
  bool may_skip_to(size_t u) const {
    return u >= 2 && !is_blank(u) && !(merge_ && states_[u] == states_[u - 2]);
  }
  double log_y(int64_t t, size_t u) const {
    return log_y_[static_cast<size_t>(t * classes_ + states_[u])];
  }

  // alpha: paths that are at state u at step t, its own step included.
  void forward() {
    alpha_.assign(static_cast<size_t>(time_) * states_.size(), kNoPath);
    for (size_t u = 0; u < std::min<size_t>(2, states_.size()); ++u) alpha_[u] = log_y(0, u);
    for (int64_t t = 1; t < time_; ++t) {
      for (size_t u = 0; u < states_.size(); ++u) {
        double sum = may_stay(u) ? alpha_[at(t - 1, u)] : kNoPath;
        if (u > 0) sum = add_logs(sum, alpha_[at(t - 1, u - 1)]);
        if (may_skip_to(u)) sum = add_logs(sum, alpha_[at(t - 1, u - 2)]);
        alpha_[at(t, u)] = sum + log_y(t, u);
      }
    }
  }

  // beta: paths from state u at step t to the end, its own step left out.
  void backward() {
    beta_.assign(alpha_.size(), kNoPath);
    const size_t last = states_.size() - 1;
    for (size_t u = last > 0 ? last - 1 : 0; u <= last; ++u) beta_[at(time_ - 1, u)] = 0;
    for (int64_t t = time_ - 2; t >= 0; --t) {
      for (size_t u = 0; u <= last; ++u) {
        double sum = may_stay(u) ? beta_[at(t + 1, u)] + log_y(t + 1, u) : kNoPath;
        if (u < last) sum = add_logs(sum, beta_[at(t + 1, u + 1)] + log_y(t + 1, u + 1));
        if (u + 2 <= last && may_skip_to(u + 2)) {
          sum = add_logs(sum, beta_[at(t + 1, u + 2)] + log_y(t + 1, u + 2));
        }
        beta_[at(t, u)] = sum;
      }
    }
    for (size_t u = 0; u <= last; ++u)
      total_ = add_logs(total_, alpha_[at(0, u)] + beta_[at(0, u)]);
  }

  std::vector<int32_t> states_;
  std::span<const double> log_y_;
  int64_t time_, classes_;
  bool merge_;
  double total_ = kNoPath;
  std::vector<double> alpha_, beta_;
};

// The labels of a sequence, and how many there were before repeated ones were dropped.
struct RowLabels {
  std::vector<int32_t> labels;
  int64_t given = 0;
};

// The labels of each sequence, checked against its length.
StatusOr<std::vector<RowLabels>> labels_by_row(const KernelRun& r, const CtcRule& rule) {
  const Tensor& x = r.input(0);
  const Coordinates places(r.input(1));
  const auto values = r.input(2).span<int32_t>();
  const auto lengths = r.input(3).span<int32_t>();
  const int64_t batch = x.dim(1), classes = x.dim(2);
  std::vector<RowLabels> rows(static_cast<size_t>(batch));
  int64_t before = 0;
  for (int64_t i = 0; i < places.count; ++i) {
    const int64_t row = places.row(i)[0];
    if (row < before || row >= batch) {
      return invalid_argument("labels_indices(", i, ") is of sequence ", row,
                              ", they must be in order and below ", batch);
    }
    const int64_t place = places.row(i)[1];
    const bool ordered =
        i == 0 || std::ranges::lexicographical_compare(places.row(i - 1), places.row(i));
    if (place < 0 || !ordered) {
      return invalid_argument("label SparseTensor is not valid: place ", place,
                              " of labels_indices(", i, ") must be above the one before");
    }
    before = row;
    auto& labels = rows[static_cast<size_t>(row)].labels;
    ++rows[static_cast<size_t>(row)].given;
    const int32_t label = values[static_cast<size_t>(i)];
    if (label < 0 || label >= classes - 1) {
      return invalid_argument("Saw a label ", label, ", labels must be in [0, ", classes - 1,
                              "), the last class is the blank");
    }
    if (!rule.collapse || labels.empty() || labels.back() != label) labels.push_back(label);
  }
  for (size_t row = 0; row < rows.size(); ++row) {
    if (lengths[row] > x.dim(0)) {
      return invalid_argument("sequence_length(", row, ") is above the number of steps, ",
                              x.dim(0));
    }
    if (rows[row].labels.empty()) return invalid_argument("Labels length is zero in batch ", row);
    if (!rule.ignore_longer && rows[row].given > lengths[row]) {
      return invalid_argument("Not enough time for target transition sequence (required: ",
                              rows[row].given, ", available: ", lengths[row], ") of sequence ", row,
                              "; ignore_longer_outputs_than_inputs takes it");
    }
  }
  return rows;
}

// Logarithms of the softmax of each step of sequence `row`.
template <class T>
std::vector<double> log_softmax_steps(const Tensor& x, int64_t row, int64_t time) {
  const int64_t batch = x.dim(1), classes = x.dim(2);
  std::vector<double> log_y;
  for (int64_t t = 0; t < time; ++t) {
    const T* scores = x.data<T>() + (t * batch + row) * classes;
    const auto most = static_cast<double>(*std::max_element(scores, scores + classes));
    double sum = 0;
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(static_cast<double>(scores[c]) - most);
    for (int64_t c = 0; c < classes; ++c) {
      log_y.push_back(static_cast<double>(scores[c]) - most - std::log(sum));
    }
  }
  return log_y;
}

template <class T>
void ctc_loss_of(KernelRun& r, const RowLabels& labels, int64_t row, const CtcRule& rule) {
  const Tensor& x = r.input(0);
  const int64_t batch = x.dim(1), classes = x.dim(2);
  const int64_t time = r.in<int32_t>(3)[row];
  r.out<T>(0)[row] = 0;
  if (time <= 0 || labels.given > time) return;
  const std::vector<double> log_y = log_softmax_steps<T>(x, row, time);
  const CtcPaths paths(labels.labels, log_y, time, classes, rule.merge);
  const double total = paths.log_probability();
  r.out<T>(0)[row] = static_cast<T>(-total);
  for (int64_t t = 0; t < time; ++t) {
    T* slope = r.out<T>(1) + (t * batch + row) * classes;
    for (int64_t c = 0; c < classes; ++c) {
      const double y = std::exp(log_y[static_cast<size_t>(t * classes + c)]);
      // Without a path the slope is the softmax alone, as TensorFlow's.
      const double share = total == kNoPath ? 0 : std::exp(paths.log_at(t, c) - total);
      slope[c] = static_cast<T>(y - share);
    }
  }
}

StatusOr<Kernel> make_ctc_loss(Prepare& p) {
  const CtcRule rule{p.attr<bool>("preprocess_collapse_repeated"),
                     p.attr<bool>("ctc_merge_repeated"),
                     p.attr<bool>("ignore_longer_outputs_than_inputs")};
  if (p.input_shape(0).num_elements() == 0) return invalid_argument("inputs must not be empty");
  Kernel kernel;
  visit<TypeList<float, double>>(p.input_dtype(0), [&]<class T>() {
    kernel = [rule](KernelRun& r) -> Status {
      TENON_ASSIGN_OR_RETURN(const auto labels, labels_by_row(r, rule));
      std::fill_n(r.out<T>(1), r.output(1).num_elements(), T(0));
      parallel_for(static_cast<int64_t>(labels.size()), 1, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          ctc_loss_of<T>(r, labels[static_cast<size_t>(row)], row, rule);
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

// ctc_ops.py, _CTCLossGradImpl: output 1 is the slope already, which has no slope of its own.
Status ctc_loss_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint slope =
      b.op("PreventGradient", {g.output(1)},
           {{"message", std::string("Currently there is no way to take the second derivative of "
                                    "ctc_loss due to the fused implementation's interaction with "
                                    "tf.gradients()")}});
  const Endpoint dy = b.op("ExpandDims", {g.dy(0), b.scalar(int32_t{-1})});
  g.set_dx(0, b.mul(slope, dy));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(CTCLoss) = {
    .inputs = "inputs: T, labels_indices: int64, labels_values: int32, sequence_length: int32",
    .outputs = "loss: T, gradient: T",
    .attrs =
        "preprocess_collapse_repeated: bool = false; ctc_merge_repeated: bool = true; "
        "ignore_longer_outputs_than_inputs: bool = false; T: {float, double} = float",
    .shape = ctc_loss_shape,
    .gradient = ctc_loss_gradient,
    .kernels = {make_ctc_loss},
};

}  // namespace tenon
