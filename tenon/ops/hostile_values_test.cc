// Every op, run on small tensors of numbers that nobody sends in good faith: indices, sizes, axes
// and permutations far out of range, NaN and infinities. It computes something or refuses; what it
// must not do, the sanitizers tell.
#include <gtest/gtest.h>

#include "tenon/base/out_of_memory.h"
#include "tenon/graph/builder.h"
#include "tenon/ops/hostile_draw_test.h"
#include "tenon/runtime/executable.h"

namespace tenon {
namespace {

class HostileRun : HostileDraw {
 public:
  HostileRun(const OpDef& op, uint64_t seed) : HostileDraw(seed), op_(op) {}

  // False when no such node can be made up.
  bool make_up() {
    for (const AttrDef& attr : op_.attrs()) {
      if (!set_attribute(attr, attrs_)) return false;
    }
    if (!op_.complete_attrs(attrs_).ok()) return false;
    for (DType dtype : op_.input_dtypes(attrs_)) {
      if (dtype == DType::kResource || dtype == DType::kVariant || dtype == DType::kInvalid) {
        return false;
      }
      if (args_.empty() || draw(2) == 0) shape_ = small_shape();
      args_.push_back(values(dtype, shape_));
    }
    return true;
  }

  Status run() {
    Graph graph;
    GraphBuilder b(graph);
    const bool known = draw(2) == 0;
    std::vector<Endpoint> inputs;
    for (const Tensor& arg : args_) {
      inputs.push_back(b.arg(cat("x", inputs.size()), arg.dtype(),
                             known ? PartialShape(arg.shape()) : PartialShape()));
    }
    const Endpoint first = b.op(op_.name(), inputs, attrs_);
    TENON_RETURN_IF_ERROR(b.status());
    const auto outputs = static_cast<int32_t>(op_.output_dtypes(attrs_).size());
    for (int32_t i = 0; i < outputs; ++i) {
      graph.results.push_back({first.node, i});
      graph.result_names.push_back(cat("y", i));
    }
    TENON_ASSIGN_OR_RETURN(const auto executable,
                           Executable::create(std::move(graph), std::make_shared<ModelState>()));
    std::vector<Tensor> results;
    TENON_RETURN_IF_ERROR(executable->run(args_, results));
    for (const Tensor& result : results) {
      EXPECT_TRUE(Shape::make(result.shape().dims()).ok())
          << op_.name() << to_string(result.shape());
    }
    return absl::OkStatus();
  }

 private:
  Shape small_shape() {
    constexpr int64_t kSizes[] = {0, 1, 1, 2, 2, 3, 4};
    Shape shape;
    for (uint64_t rank = draw(5); rank > 0; --rank) shape.append(kSizes[draw(std::size(kSizes))]);
    return shape;
  }

  Tensor values(DType dtype, const Shape& shape) {
    if (dtype == DType::kString) {
      static const std::string kTexts[] = {"",          "a",    "-1", std::string(300, 'x'),
                                           "\xff\x00(", "1e999"};
      std::vector<std::string> texts;
      for (int64_t i = shape.num_elements(); i > 0; --i) {
        texts.push_back(kTexts[draw(std::size(kTexts))]);
      }
      return Tensor::strings(shape, texts);
    }
    Tensor tensor(dtype, shape);
    std::memset(tensor.mutable_raw(), 0, tensor.num_bytes());
    // A bool of another byte than 0 and 1 cannot come from a request.
    if (dtype == DType::kBool) return tensor;
    visit<RealTypes>(dtype, [&]<class T>() {
      constexpr double kReals[] = {0, 1, -1, 0.5, 3, 1e30, -1e30, 1e-30, NAN, INFINITY, -INFINITY};
      for (T& value :
           std::span(tensor.mutable_data<T>(), static_cast<size_t>(shape.num_elements()))) {
        if constexpr (std::is_integral_v<T>) {
          value = static_cast<T>(number());
        } else {
          value = static_cast<T>(static_cast<float>(kReals[draw(std::size(kReals))]));
        }
      }
    });
    return tensor;
  }

  const OpDef& op_;
  AttrMap attrs_;
  Shape shape_;
  std::vector<Tensor> args_;
};

class HostileValues : public testing::TestWithParam<std::string> {};

TEST_P(HostileValues, AreComputedOrRefused) {
  const OpDef* op = OpRegistry::global().find(GetParam());
  for (int trial = 0; trial < hostile_trials(60); ++trial) {
    HostileRun run(*op, static_cast<uint64_t>(trial));
    if (!run.make_up()) continue;
    const Status status = or_out_of_memory([&] { return run.run(); });
    EXPECT_NE(status.code(), absl::StatusCode::kUnknown) << trial << ": " << status;
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, HostileValues, testing::ValuesIn(pure_ops()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace tenon
