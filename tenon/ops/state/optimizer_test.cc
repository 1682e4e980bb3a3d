// The optimizers' ops update their variables as TensorFlow's formulas say
// (tensorflow/core/kernels/training_ops.cc), or Keras' (keras/src/optimizers/adam.py, rmsprop.py),
// computed here element by element in double.
#include <gtest/gtest.h>

#include "tenon/graph/builder.h"
#include "tenon/graph/function_library.h"
#include "tenon/ops/register_all.h"
#include "tenon/runtime/executable.h"

namespace tenon {
namespace {

class OptimizerOps : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!OpRegistry::global().find("ResourceApplyAdam")) {
      ASSERT_TRUE(register_all_ops(OpRegistry::global()).ok());
    }
  }

  // Runs `op` once on new variables v0, v1, ... with these values; the other inputs are given in
  // order.
  Status apply(std::string_view op, std::span<const std::vector<double>> variables,
               std::span<const std::vector<double>> others, AttrMap attrs = {}) {
    state_ = std::make_shared<ModelState>();
    Graph graph(std::make_shared<FunctionLibrary>());
    GraphBuilder b(graph);
    std::vector<Endpoint> inputs;
    for (size_t i = 0; i < variables.size(); ++i) {
      const std::string name = cat("v", i);
      const Tensor value = Tensor::vector<double>(std::span<const double>(variables[i]));
      TENON_RETURN_IF_ERROR(state_->set_variable(name, value));
      inputs.push_back(b.op("VarHandleOp", {},
                            {{"shared_name", name},
                             {"dtype", DType::kDouble},
                             {"shape", PartialShape(value.shape())}}));
    }
    for (const std::vector<double>& other : others) {
      inputs.push_back(other.size() == 1
                           ? b.scalar<double>(other[0])
                           : b.constant(Tensor::vector<double>(std::span<const double>(other))));
    }
    attrs.set("T", DType::kDouble);
    const NodeId node = b.node(op, inputs, std::move(attrs));
    TENON_RETURN_IF_ERROR(b.status());
    graph.control_results.push_back(node);
    TENON_ASSIGN_OR_RETURN(auto executable, Executable::create(std::move(graph), state_));
    std::vector<Tensor> results;
    return executable->run({}, results);
  }

  void expect_variable(std::string_view name, std::span<const double> expected) {
    const auto value = state_->variable(name)->read();
    ASSERT_TRUE(value.ok());
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(value->data<double>()[i], expected[i], 1e-12) << name << " element " << i;
    }
  }

  std::shared_ptr<ModelState> state_;
};

TEST_F(OptimizerOps, AdamFollowsItsFormula) {
  const std::vector<double> w{1.0, -2.0, 0.5}, m{0.1, 0.2, -0.3}, v{0.4, 0.5, 0.6},
      g{0.7, -0.8, 0.9};
  const double p1 = 0.81, p2 = 0.998, lr = 0.01, b1 = 0.9, b2 = 0.999, epsilon = 1e-7;
  const std::vector<double> variables[] = {w, m, v};
  const std::vector<double> others[] = {{p1}, {p2}, {lr}, {b1}, {b2}, {epsilon}, g};
  const Status status = apply("ResourceApplyAdam", variables, others);
  ASSERT_TRUE(status.ok()) << message_of(status);
  std::vector<double> nw(3), nm(3), nv(3);
  for (size_t i = 0; i < 3; ++i) {
    nm[i] = b1 * m[i] + (1 - b1) * g[i];
    nv[i] = b2 * v[i] + (1 - b2) * g[i] * g[i];
    nw[i] = w[i] - lr * std::sqrt(1 - p2) / (1 - p1) * nm[i] / (std::sqrt(nv[i]) + epsilon);
  }
  expect_variable("v0", nw);
  expect_variable("v1", nm);
  expect_variable("v2", nv);
}

TEST_F(OptimizerOps, CenteredRmsPropTakesItsVariablesInTensorFlowsOrder) {
  const std::vector<double> w{1.0, -2.0}, mg{0.1, 0.2}, ms{0.4, 0.5}, mom{0.3, 0.1}, g{0.7, -0.8};
  const double lr = 0.01, rho = 0.9, momentum = 0.5, epsilon = 1e-3;
  const std::vector<double> variables[] = {w, mg, ms, mom};
  const std::vector<double> others[] = {{lr}, {rho}, {momentum}, {epsilon}, g};
  const Status status = apply("ResourceApplyCenteredRMSProp", variables, others);
  ASSERT_TRUE(status.ok()) << message_of(status);
  std::vector<double> nw(2), ng(2), ns(2), nm(2);
  for (size_t i = 0; i < 2; ++i) {
    ns[i] = rho * ms[i] + (1 - rho) * g[i] * g[i];
    ng[i] = rho * mg[i] + (1 - rho) * g[i];
    nm[i] = momentum * mom[i] + lr * g[i] / std::sqrt(ns[i] - ng[i] * ng[i] + epsilon);
    nw[i] = w[i] - nm[i];
  }
  expect_variable("v0", nw);
  expect_variable("v1", ng);
  expect_variable("v2", ns);
  expect_variable("v3", nm);
}

TEST_F(OptimizerOps, AdaMaxFollowsItsFormula) {
  const std::vector<double> w{1.0, -2.0}, m{0.1, 0.2}, v{0.4, 2.0}, g{0.7, -0.8};
  const double p1 = 0.9, lr = 0.01, b1 = 0.9, b2 = 0.999, epsilon = 1e-7;
  const std::vector<double> variables[] = {w, m, v};
  const std::vector<double> others[] = {{p1}, {lr}, {b1}, {b2}, {epsilon}, g};
  const Status status = apply("ResourceApplyAdaMax", variables, others);
  ASSERT_TRUE(status.ok()) << message_of(status);
  std::vector<double> nw(2), nm(2), nv(2);
  for (size_t i = 0; i < 2; ++i) {
    nm[i] = b1 * m[i] + (1 - b1) * g[i];
    nv[i] = std::max(b2 * v[i], std::abs(g[i]));
    nw[i] = w[i] - lr / (1 - p1) * nm[i] / (nv[i] + epsilon);
  }
  expect_variable("v0", nw);
  expect_variable("v1", nm);
  expect_variable("v2", nv);
}

// Values for any count of elements, so that whole vectors and tails are met.
std::vector<double> spread_values(size_t count, double first, double step) {
  std::vector<double> values;
  for (size_t i = 0; i < count; ++i) values.push_back(first + step * static_cast<double>(i % 17));
  return values;
}

TEST_F(OptimizerOps, KerasAdamFollowsItsFormula) {
  const double alpha = 0.01, c1 = 0.1, c2 = 0.001, epsilon = 1e-7;
  for (const int form : {0, 1, 2, 3}) {
    const bool amsgrad = form % 2 == 1, of_rows = form >= 2;
    for (const size_t n : {2, 7, 8, 31, 20003}) {
      std::vector<std::vector<double>> state = {
          spread_values(n, -1, 0.1), spread_values(n, -0.3, 0.03), spread_values(n, 0.1, 0.05)};
      if (amsgrad) state.push_back(spread_values(n, 0.9, -0.05));
      const std::vector<double> g = spread_values(n, 0.8, -0.1);
      const std::vector<double> squares = spread_values(n, 0.9, 0.07);
      const std::vector<double> others[] = {{alpha}, {c1}, {c2}, {epsilon}, g};
      const std::vector<double> with_squares[] = {{alpha}, {c1}, {c2}, {epsilon}, squares, g};
      const Status status =
          of_rows
              ? apply("_KerasAdamOfRows", state, with_squares, {{"num_v_hat", int64_t{amsgrad}}})
              : apply("_KerasAdam", state, others, {{"num_v_hat", int64_t{amsgrad}}});
      ASSERT_TRUE(status.ok()) << message_of(status);
      for (size_t i = 0; i < n; ++i) {
        state[1][i] += (g[i] - state[1][i]) * c1;
        const double square = of_rows ? squares[i] : g[i] * g[i];
        double second = state[2][i] += (square - state[2][i]) * c2;
        if (amsgrad) second = state[3][i] = std::max(state[3][i], second);
        state[0][i] -= state[1][i] * alpha / (std::sqrt(second) + epsilon);
      }
      for (size_t v = 0; v < state.size(); ++v) expect_variable(cat("v", v), state[v]);
    }
  }
}

// TensorFlow's threads take numbers below the least normal one for zero.
TEST_F(OptimizerOps, MomentsThatFadeBecomeZero) {
  const double denormal = std::numeric_limits<double>::min() / 16;
  for (const size_t n : {2, 9}) {
    const std::vector<double> weight(n, 0.5), moment(n, denormal), square(n, 0.25), none(n, 0.0);
    const std::vector<double> state[] = {weight, moment, square};
    const std::vector<double> others[] = {{0.01}, {0.1}, {0.001}, {1e-7}, none};
    ASSERT_TRUE(apply("_KerasAdam", state, others, {{"num_v_hat", int64_t{0}}}).ok());
    const auto value = state_->variable("v1")->read();
    ASSERT_TRUE(value.ok());
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(value->data<double>()[i], 0);
  }
}

TEST_F(OptimizerOps, KerasRmsPropFollowsItsFormulaInItsFourForms) {
  const double lr = 0.01, rho = 0.9, rest = 0.1, momentum = 0.5, epsilon = 1e-3;
  const size_t n = 37;
  for (const bool moves : {false, true}) {
    for (const bool centered : {false, true}) {
      std::vector<std::vector<double>> state = {spread_values(n, -1, 0.1),
                                                spread_values(n, 0.3, 0.05)};
      if (moves) state.push_back(spread_values(n, 0.2, -0.03));
      if (centered) state.push_back(spread_values(n, -0.1, 0.02));
      const std::vector<double> g = spread_values(n, 0.8, -0.1);
      const std::vector<double> others[] = {{lr}, {rho}, {rest}, {momentum}, {epsilon}, g};
      const Status status =
          apply("_KerasRmsProp", state, others,
                {{"num_momentum", int64_t{moves}}, {"num_average", int64_t{centered}}});
      ASSERT_TRUE(status.ok()) << message_of(status);
      for (size_t i = 0; i < n; ++i) {
        state[1][i] = rho * state[1][i] + rest * g[i] * g[i];
        double variance = state[1][i];
        if (centered) {
          double& mean = state.back()[i];
          mean = rho * mean + rest * g[i];
          variance -= mean * mean;
        }
        double step = lr * g[i] / std::sqrt(variance + epsilon);
        if (moves) step = state[2][i] = momentum * state[2][i] + step;
        state[0][i] -= step;
      }
      for (size_t v = 0; v < state.size(); ++v) expect_variable(cat("v", v), state[v]);
    }
  }
}

TEST_F(OptimizerOps, KerasOpsRefuseMoreThanOneOptionalVariable) {
  const std::vector<double> value{1.0, 2.0};
  const std::vector<std::vector<double>> five(5, value);
  const std::vector<double> adam[] = {{0.1}, {0.1}, {0.1}, {0.1}, value};
  EXPECT_EQ(apply("_KerasAdam", five, adam, {{"num_v_hat", int64_t{2}}}).code(),
            absl::StatusCode::kInvalidArgument);
  const std::vector<double> of_rows[] = {{0.1}, {0.1}, {0.1}, {0.1}, {1.0}, value};
  EXPECT_EQ(
      apply("_KerasAdamOfRows", std::span(five).first(3), of_rows, {{"num_v_hat", int64_t{0}}})
          .code(),
      absl::StatusCode::kInvalidArgument);
  const std::vector<double> rms_prop[] = {{0.1}, {0.1}, {0.1}, {0.1}, {0.1}, value};
  EXPECT_EQ(apply("_KerasRmsProp", std::span(five).first(4), rms_prop,
                  {{"num_momentum", int64_t{2}}, {"num_average", int64_t{0}}})
                .code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(OptimizerOps, RefuseAGradientOfAnotherShape) {
  const std::vector<double> variables[] = {{1.0, 2.0}};
  const std::vector<double> others[] = {{0.1}, {1.0, 2.0, 3.0}};
  EXPECT_EQ(apply("ResourceApplyGradientDescent", variables, others).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tenon
