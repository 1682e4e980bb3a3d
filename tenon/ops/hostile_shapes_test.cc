// Every op's shape function, and its kernels' factories, with dimensions that no real tensor has:
// what they make of them either is an error or fits in int64. Tensors without elements may have any
// dimensions, and small inputs may ask for any.
#include <gtest/gtest.h>

#include "tenon/base/out_of_memory.h"
#include "tenon/core/device.h"
#include "tenon/core/node_prepare.h"
#include "tenon/graph/shape_inference.h"
#include "tenon/ops/hostile_draw_test.h"

namespace tenon {
namespace {

class HostileNode : HostileDraw {
 public:
  HostileNode(const OpDef& op, uint64_t seed) : HostileDraw(seed), op_(op) {}

  // False when no such node can be: an attribute of a kind that is not made up here.
  bool make_up() {
    for (const AttrDef& attr : op_.attrs()) {
      if (!set_attribute(attr, attrs_)) return false;
    }
    if (!op_.complete_attrs(attrs_).ok()) return false;
    const std::vector<DType> dtypes = op_.input_dtypes(attrs_);
    constants_.resize(dtypes.size());
    shapes_.emplace(op_, attrs_, nullptr);
    for (size_t i = 0; i < dtypes.size(); ++i) {
      NodeShapes::Input input{dtypes[i], shape_of_input(), nullptr, nullptr};
      if (op_.decl().host_inputs.contains(static_cast<int>(i), dtypes.size())) {
        constants_[i] = small_tensor(dtypes[i]);
        input.constant = &constants_[i];
        input.shape = constants_[i].shape();
      }
      shapes_->inputs.push_back(std::move(input));
    }
    return true;
  }

  // What fits is shown to the factories too.
  void check() {
    const Status status = or_out_of_memory([&] { return shapes_->infer(); });
    if (!status.ok()) return;
    bool known = true;
    for (const PartialShape& shape : shapes_->outputs) {
      known &= shape.is_fully_known();
      if (!shape.has_rank()) continue;
      for (int64_t dim : shape.dims()) ASSERT_GE(dim, -1) << op_.name() << to_string(shape);
      if (!shape.is_fully_known()) continue;
      __int128 product = 1;
      for (int64_t dim : shape.dims()) {
        if (dim != 0) product *= dim;
        ASSERT_LE(product, __int128{kMostElements}) << op_.name() << to_string(shape);
      }
    }
    for (const NodeShapes::Input& input : shapes_->inputs) known &= input.shape.is_fully_known();
    if (known && !op_.decl().sets_outputs()) prepare();
  }

 private:
  Tensor small_tensor(DType dtype) {
    const uint64_t form = draw(4);
    const auto count = static_cast<int64_t>(draw(6));
    Tensor tensor(dtype, form == 0 ? Shape() : form == 1 ? Shape{count, 2} : Shape{count});
    visit<RealTypes>(dtype, [&]<class T>() {
      for (int64_t i = 0; i < tensor.num_elements(); ++i) {
        tensor.mutable_data<T>()[i] = static_cast<T>(static_cast<int64_t>(number()));
      }
    });
    return tensor;
  }

  void prepare() {
    NodePrepare prepare(op_, attrs_, "hostile");
    for (const NodeShapes::Input& input : shapes_->inputs) {
      prepare.inputs.push_back({input.dtype, input.shape.to_shape(), input.constant, false});
    }
    const std::vector<DType> dtypes = op_.output_dtypes(attrs_);
    for (size_t i = 0; i < dtypes.size(); ++i) {
      prepare.outputs.push_back({dtypes[i], shapes_->outputs[i]});
    }
    const auto kernel = or_out_of_memory([&] { return cpu_device()->make_kernel(prepare); });
    EXPECT_NE(kernel.status().code(), absl::StatusCode::kInternal) << op_.name();
  }

  const OpDef& op_;
  AttrMap attrs_;
  std::vector<Tensor> constants_;
  std::optional<NodeShapes> shapes_;
};

class HostileShapes : public testing::TestWithParam<std::string> {};

TEST_P(HostileShapes, FitOrAreRefused) {
  const OpDef* op = OpRegistry::global().find(GetParam());
  const int count = hostile_trials(TENON_SANITIZED ? 100 : 400);
  for (int trial = 0; trial < count && !HasFatalFailure(); ++trial) {
    HostileNode node(*op, static_cast<uint64_t>(trial));
    if (node.make_up()) node.check();
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, HostileShapes, testing::ValuesIn(pure_ops()),
                         [](const auto& info) { return info.param; });

// Of [1099511627779, 0] by [0, 2049637741740337836]: the product of the outer dimensions wraps to
// 4. TensorFlow 2.21 ends the process.
TEST(HostileMatMul, DimensionsWhoseProductWraps) {
  register_hostile_ops();
  const OpDef* op = OpRegistry::global().find("MatMul");
  AttrMap attrs{{"T", DType::kFloat}};
  ASSERT_TRUE(op->complete_attrs(attrs).ok());
  NodeShapes shapes(*op, attrs, nullptr);
  shapes.inputs.push_back({DType::kFloat, PartialShape{1099511627779, 0}, nullptr, nullptr});
  shapes.inputs.push_back({DType::kFloat, PartialShape{0, 2049637741740337836}, nullptr, nullptr});
  EXPECT_EQ(shapes.infer().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tenon
