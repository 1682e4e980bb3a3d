// Every op's shape function, and its kernels' factories, with dimensions that no real tensor has:
// what they make of them either is an error or fits in int64. Tensors without elements may have any
// dimensions, and small inputs may ask for any.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "tenon/base/out_of_memory.h"
#include "tenon/core/device.h"
#include "tenon/core/host_memory.h"
#include "tenon/core/node_prepare.h"
#include "tenon/graph/shape_inference.h"
#include "tenon/ops/register_all.h"

namespace tenon {
namespace {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr int64_t kHostileDims[] = {
    0,        0,        1,        1,     2,        3,        1 << 20,   1 << 30,      kMost / 2,
    1L << 31, 1L << 40, 1L << 62, kMost, 3L << 40, 1L << 32, kMost - 1, 1099511627779};

class HostileNode {
 public:
  HostileNode(const OpDef& op, uint64_t seed) : op_(op), random_(seed) {}

  // False when no such node can be: an attribute of a kind that is not made up here.
  bool make_up() {
    for (const AttrDef& attr : op_.attrs()) {
      if (!set_attribute(attr)) return false;
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
  uint64_t draw(uint64_t below) { return random_() % below; }
  int64_t hostile() {
    const int64_t value = kHostileDims[draw(std::size(kHostileDims))];
    return draw(8) == 0 ? value - 1 : value;
  }
  // Small more often than not, so that checks of ranks and ranges are passed.
  int64_t number() {
    constexpr int64_t kSmall[] = {0, 1, 1, 1, 2, 3, -1};
    if (draw(3) != 0) return kSmall[draw(std::size(kSmall))];
    return draw(4) == 0 ? -hostile() : hostile();
  }

  PartialShape shape_of_input() {
    for (;;) {
      std::vector<int64_t> dims;
      const uint64_t rank = draw(4) == 0 ? 4 : draw(6);
      for (uint64_t i = 0; i < rank; ++i) dims.push_back(std::max<int64_t>(0, hostile()));
      if (!Shape::make(dims).ok()) continue;
      PartialShape shape{std::span<const int64_t>(dims)};
      if (draw(16) == 0) return PartialShape();
      for (int i = 0; i < shape.rank(); ++i) {
        if (draw(12) == 0) shape.set(i, -1);
      }
      return shape;
    }
  }

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

  bool set_attribute(const AttrDef& attr) {
    if (attr.default_value && draw(2) == 0) return true;
    const auto integer = [&] {
      return std::max(attr.is_list ? -kMost : attr.minimum.value_or(-kMost), number());
    };
    switch (attr.kind) {
      case AttrKind::kInt:
        if (attr.is_list) {
          std::vector<int64_t> list(draw(3) == 0 ? draw(9) : 4);
          for (int64_t& one : list) one = draw(2) == 0 ? 1 : number();
          attrs_.set(attr.name, std::move(list));
        } else {
          // Numbers of inputs stay few.
          attrs_.set(attr.name, attr.minimum
                                    ? std::max(*attr.minimum, static_cast<int64_t>(draw(4)))
                                    : integer());
        }
        return true;
      case AttrKind::kFloat:
        if (!attr.is_list) attrs_.set(attr.name, 0.5f);
        return !attr.is_list || attr.default_value.has_value();
      case AttrKind::kBool:
        if (!attr.is_list) attrs_.set(attr.name, draw(2) == 0);
        return !attr.is_list || attr.default_value.has_value();
      case AttrKind::kString: {
        if (attr.is_list) return attr.default_value.has_value();
        const auto& allowed = attr.allowed_strings;
        attrs_.set(attr.name,
                   allowed.empty() ? std::string("SAME") : allowed[draw(allowed.size())]);
        return true;
      }
      case AttrKind::kType: {
        if (attr.is_list) {
          attrs_.set(attr.name, std::vector<DType>(1 + draw(3), DType::kFloat));
          return true;
        }
        const auto& allowed = attr.allowed_types;
        attrs_.set(attr.name, allowed.empty() ? DType::kFloat : allowed[draw(allowed.size())]);
        return true;
      }
      case AttrKind::kShape:
        if (!attr.is_list) attrs_.set(attr.name, shape_of_input());
        return !attr.is_list || attr.default_value.has_value();
      default:
        return attr.default_value.has_value();
    }
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
  std::mt19937_64 random_;
  AttrMap attrs_;
  std::vector<Tensor> constants_;
  std::optional<NodeShapes> shapes_;
};

void register_ops() {
  if (OpRegistry::global().find("While")) return;
  set_host_memory_limit(size_t{1} << 28);  // tables of dimensions that no tensor has are refused
  ASSERT_TRUE(register_all_ops(OpRegistry::global()).ok());
}

std::vector<std::string> pure_ops() {
  register_ops();
  std::vector<std::string> names;
  for (const OpDef* op : OpRegistry::global().all()) {
    if (op->decl().effect == Effect::kNone) names.push_back(op->name());
  }
  return names;
}

class HostileShapes : public testing::TestWithParam<std::string> {};

TEST_P(HostileShapes, FitOrAreRefused) {
  const OpDef* op = OpRegistry::global().find(GetParam());
  const char* trials = std::getenv("TENON_HOSTILE_TRIALS");
  const int count = trials ? std::atoi(trials) : 400;
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
  register_ops();
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
