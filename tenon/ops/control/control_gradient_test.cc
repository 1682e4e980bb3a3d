// Gradients through If, Case, While and TensorLists against finite differences.
#include <gtest/gtest.h>

#include "tenon/graph/function_library.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/register_all.h"
#include "tenon/runtime/executable.h"

namespace tenon {
namespace {

class ControlGradient : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!OpRegistry::global().find("While")) {
      ASSERT_TRUE(register_all_ops(OpRegistry::global()).ok());
    }
  }

  using Body = std::function<std::vector<Endpoint>(GraphBuilder&, std::span<const Endpoint>)>;

  // Registers a function of arguments like `types`.
  FunctionAttr function(std::string_view name, std::span<const ValueInfo> types, const Body& body) {
    Graph graph(library_);
    GraphBuilder b(graph);
    std::vector<Endpoint> args;
    for (const ValueInfo& type : types) args.push_back(b.arg("", type.dtype, type.shape));
    graph.results = body(b, args);
    EXPECT_TRUE(b.status().ok()) << message_of(b.status());
    const FunctionAttr attr{library_->unique_name(name), nullptr};
    library_->add(attr.name, std::move(graph));
    return attr;
  }

  // results = sum of `make`'s value, then its gradient with respect to each argument.
  StatusOr<std::shared_ptr<Executable>> compile(std::span<const Tensor> args, const Body& make) {
    Graph graph(library_);
    GraphBuilder b(graph);
    std::vector<Endpoint> inputs;
    for (const Tensor& arg : args) inputs.push_back(b.arg("", arg.dtype(), arg.shape()));
    const Endpoint y = make(b, inputs)[0];
    TENON_RETURN_IF_ERROR(b.status());
    TENON_ASSIGN_OR_RETURN(const std::vector<Endpoint> dx,
                           gradients(graph, std::array{y}, {}, inputs));
    graph.results = {y};
    for (size_t i = 0; i < dx.size(); ++i) {
      graph.results.push_back(dx[i] ? dx[i] : b.zeros_like(inputs[i]));
    }
    TENON_RETURN_IF_ERROR(b.status());
    return Executable::create(std::move(graph), std::make_shared<ModelState>());
  }

  static double total(const Tensor& y) {
    double sum = 0;
    for (double value : y.span<double>()) sum += value;
    return sum;
  }

  // The gradient of sum(make(args)) with respect to every argument of dtype double.
  void expect_gradient(std::vector<Tensor> args, const Body& make) {
    auto executable = compile(args, make);
    ASSERT_TRUE(executable.ok()) << message_of(executable.status());
    std::vector<Tensor> results;
    Status status = (*executable)->run(args, results);
    ASSERT_TRUE(status.ok()) << message_of(status);
    const std::vector<Tensor> found = results;
    for (size_t i = 0; i < args.size(); ++i) {
      if (args[i].dtype() != DType::kDouble) continue;
      for (int64_t e = 0; e < args[i].num_elements(); ++e) {
        constexpr double kStep = 1e-6;
        double side[2];
        for (int s = 0; s < 2; ++s) {
          std::vector<Tensor> moved = args;
          moved[i] = args[i].clone();
          moved[i].mutable_data<double>()[e] += s == 0 ? -kStep : kStep;
          std::vector<Tensor> there;
          status = (*executable)->run(moved, there);
          ASSERT_TRUE(status.ok()) << message_of(status);
          side[s] = total(there[0]);
        }
        const double expected = (side[1] - side[0]) / (2 * kStep);
        EXPECT_NEAR(found[1 + i].data<double>()[e], expected, 1e-6 * (1 + std::abs(expected)))
            << "argument " << i << " element " << e;
      }
    }
  }

  static Tensor doubles(std::initializer_list<double> values) {
    return Tensor::vector<double>(values);
  }

  // x -> tanh(w x) + x / 2, `n` times; variables: i, n, x, w.
  std::vector<Endpoint> repeat(GraphBuilder& b, Endpoint n, Endpoint x, Endpoint w,
                               const Body& body) {
    const FunctionAttr more =
        function("more", loop_types_, [](GraphBuilder& c, std::span<const Endpoint> v) {
          return std::vector{c.op("Less", {v[0], v[1]})};
        });
    return b.ops("StatelessWhile", {b.scalar<int32_t>(0), n, x, w},
                 {{"cond", more}, {"body", function("body", loop_types_, body)}});
  }

  static std::vector<Endpoint> squash(GraphBuilder& c, std::span<const Endpoint> v) {
    const Endpoint half = c.scalar<double>(0.5);
    const Endpoint x = c.add(c.op("Tanh", {c.mul(v[3], v[2])}), c.mul(v[2], half));
    return {c.add(v[0], c.scalar<int32_t>(1)), v[1], x, v[3]};
  }

  std::shared_ptr<FunctionLibrary> library_ = std::make_shared<FunctionLibrary>();
  const std::vector<ValueInfo> loop_types_{{DType::kInt32, Shape(), std::nullopt},
                                           {DType::kInt32, Shape(), std::nullopt},
                                           {DType::kDouble, PartialShape(), std::nullopt},
                                           {DType::kDouble, PartialShape(), std::nullopt}};
};

TEST_F(ControlGradient, FlowsThroughEveryIterationOfALoop) {
  for (int32_t steps : {0, 1, 4}) {
    expect_gradient({Tensor::scalar<int32_t>(steps), doubles({0.3, -0.7}), doubles({1.1, 0.4})},
                    [&](GraphBuilder& b, std::span<const Endpoint> v) {
                      return std::vector{repeat(b, v[0], v[1], v[2], squash)[2]};
                    });
  }
}

TEST_F(ControlGradient, FlowsThroughALoopInALoop) {
  const Body outer = [this](GraphBuilder& c, std::span<const Endpoint> v) {
    const Endpoint x = repeat(c, c.scalar<int32_t>(2), v[2], v[3], squash)[2];
    return std::vector{c.add(v[0], c.scalar<int32_t>(1)), v[1], c.mul(x, v[3]), v[3]};
  };
  expect_gradient({Tensor::scalar<int32_t>(3), doubles({0.3, -0.7}), doubles({1.1, 0.4})},
                  [&](GraphBuilder& b, std::span<const Endpoint> v) {
                    return std::vector{repeat(b, v[0], v[1], v[2], outer)[2]};
                  });
}

TEST_F(ControlGradient, FlowsThroughTheBranchThatRan) {
  const std::vector<ValueInfo> types(2, {DType::kDouble, PartialShape(), std::nullopt});
  for (bool condition : {true, false}) {
    expect_gradient(
        {Tensor::scalar<bool>(condition), doubles({0.3, -0.7}), doubles({1.1, 0.4})},
        [&](GraphBuilder& b, std::span<const Endpoint> v) {
          const FunctionAttr yes =
              function("yes", types, [](GraphBuilder& c, std::span<const Endpoint> a) {
                return std::vector{c.mul(a[0], c.op("Tanh", {a[1]}))};
              });
          const FunctionAttr no =
              function("no", types, [](GraphBuilder& c, std::span<const Endpoint> a) {
                return std::vector{c.mul(a[0], a[0])};
              });
          return std::vector{b.op(
              "StatelessIf", {v[0], v[1], v[2]},
              {{"then_branch", yes}, {"else_branch", no}, {"Tout", std::vector{DType::kDouble}}})};
        });
  }
}

TEST_F(ControlGradient, FlowsThroughABranchInALoop) {
  const Body body = [this](GraphBuilder& c, std::span<const Endpoint> v) {
    const std::vector<ValueInfo> types(2, {DType::kDouble, PartialShape(), std::nullopt});
    const auto product = [](GraphBuilder& d, std::span<const Endpoint> a) {
      return std::vector{d.mul(a[0], a[1])};
    };
    const auto sum = [](GraphBuilder& d, std::span<const Endpoint> a) {
      return std::vector{d.add(d.op("Tanh", {a[0]}), a[1])};
    };
    const Endpoint odd = c.op("Less", {v[0], c.scalar<int32_t>(2)});
    const Endpoint x = c.op("StatelessIf", {odd, v[2], v[3]},
                            {{"then_branch", function("product", types, product)},
                             {"else_branch", function("sum", types, sum)},
                             {"Tout", std::vector{DType::kDouble}}});
    return std::vector{c.add(v[0], c.scalar<int32_t>(1)), v[1], x, v[3]};
  };
  expect_gradient({Tensor::scalar<int32_t>(4), doubles({0.3, -0.7}), doubles({1.1, 0.4})},
                  [&](GraphBuilder& b, std::span<const Endpoint> v) {
                    return std::vector{repeat(b, v[0], v[1], v[2], body)[2]};
                  });
}

// The form of Keras' recurrent layers: rows are read from a list and results written into another.
TEST_F(ControlGradient, FlowsThroughListsThatALoopReadsAndWrites) {
  const std::vector<ValueInfo> types{{DType::kInt32, Shape(), std::nullopt},
                                     {DType::kVariant, Shape(), std::nullopt},
                                     {DType::kVariant, Shape(), std::nullopt},
                                     {DType::kDouble, PartialShape{2}, std::nullopt},
                                     {DType::kDouble, PartialShape{2}, std::nullopt}};
  const Body body = [](GraphBuilder& c, std::span<const Endpoint> v) {
    const Endpoint row = c.op("TensorListGetItem", {v[1], v[0], c.integers({2})},
                              {{"element_dtype", DType::kDouble}});
    const Endpoint state = c.op("Tanh", {c.add(c.mul(v[3], v[4]), row)});
    const Endpoint written = c.op("TensorListSetItem", {v[2], v[0], state});
    return std::vector{c.add(v[0], c.scalar<int32_t>(1)), v[1], written, state, v[4]};
  };
  const Body more = [](GraphBuilder& c, std::span<const Endpoint> v) {
    return std::vector{c.op("Less", {v[0], c.op("TensorListLength", {v[1]})})};
  };
  Tensor rows = Tensor::from<double>(Shape{3, 2}, std::array{0.1, -0.4, 0.8, 0.2, -0.5, 0.6});
  expect_gradient(
      {rows, doubles({0.3, -0.7}), doubles({1.1, 0.4})},
      [&](GraphBuilder& b, std::span<const Endpoint> v) {
        const Endpoint list = b.op("TensorListFromTensor", {v[0], b.integers({2})});
        const Endpoint out = b.op("TensorListReserve", {b.integers({2}), b.scalar<int32_t>(3)},
                                  {{"element_dtype", DType::kDouble}});
        const std::vector<Endpoint> done = b.ops(
            "StatelessWhile", {b.scalar<int32_t>(0), list, out, v[1], v[2]},
            {{"cond", function("more", types, more)}, {"body", function("step", types, body)}});
        if (done.empty()) return std::vector<Endpoint>(1);
        const Endpoint all = b.op("TensorListStack", {done[2], b.integers({2})},
                                  {{"element_dtype", DType::kDouble}});
        return std::vector{b.mul(all, all)};
      });
}

TEST_F(ControlGradient, OfRandomBodiesIsRefused) {
  const Body body = [](GraphBuilder& c, std::span<const Endpoint> v) {
    const Endpoint noise =
        c.op("RandomUniform", {c.op("Shape", {v[2]})}, {{"dtype", DType::kDouble}});
    return std::vector{c.add(v[0], c.scalar<int32_t>(1)), v[1], c.mul(v[2], noise), v[3]};
  };
  const std::vector<Tensor> args{Tensor::scalar<int32_t>(3), doubles({0.3}), doubles({1.1})};
  const auto executable = compile(args, [&](GraphBuilder& b, std::span<const Endpoint> v) {
    return std::vector{repeat(b, v[0], v[1], v[2], body)[2]};
  });
  EXPECT_EQ(executable.status().code(), absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace tenon
