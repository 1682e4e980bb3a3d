// Outside truth: the shapes of the same graph for arguments of concrete shapes. What is said to be
// equal must be equal in all of them, sizes of 1 that broadcast among them.
#include "tenon/graph/symbolic_shapes.h"

#include <gtest/gtest.h>

#include <random>

#include "tenon/graph/builder.h"
#include "tenon/ops/registered_ops_test.h"

namespace tenon {
namespace {

class SymbolicShapesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_TRUE(registered_ops().ok()) << registered_ops(); }
};

bool equal(const Graph& graph, Endpoint a, Endpoint b) {
  const auto shapes = SymbolicShapes::analyze(graph);
  EXPECT_TRUE(shapes.ok()) << shapes.status();
  return shapes.ok() && shapes->equal(a, b) && shapes->equal(b, a);
}

TEST_F(SymbolicShapesTest, WhatComesFromOnePlaceIsEqual) {
  Graph graph;
  GraphBuilder b(graph);
  const Endpoint x = b.arg("x", DType::kFloat, {-1, 8});
  const Endpoint other = b.arg("other", DType::kFloat, {-1, 8});
  const Endpoint open = b.arg("open", DType::kFloat, {-1, -1, -1, 4});
  const Endpoint unknown = b.arg("unknown", DType::kFloat, {});
  const Endpoint weights = b.constant(Tensor(DType::kFloat, Shape{8, 8}));
  const Endpoint filter = b.constant(Tensor(DType::kFloat, Shape{3, 3, 4, 4}));
  const auto conv = [&](Endpoint in, const char* padding, int64_t stride) {
    return b.op("Conv2D", {in, filter},
                {{"strides", std::vector<int64_t>{1, stride, stride, 1}},
                 {"padding", std::string(padding)}});
  };
  const Endpoint product = b.matmul(x, weights);
  const Endpoint wide = b.add(x, other);
  const Endpoint flat = b.reshape(b.reshape(x, b.integers({-1, 2, 4})), b.integers({-1, 8}));
  const Endpoint same = conv(conv(open, "SAME", 1), "SAME", 1);
  const Endpoint half = conv(open, "SAME", 2), less = conv(open, "VALID", 1);
  ASSERT_TRUE(b.status().ok()) << b.status();
  EXPECT_TRUE(equal(graph, x, product));
  EXPECT_TRUE(equal(graph, x, flat));
  EXPECT_TRUE(equal(graph, b.add(product, x), x));
  EXPECT_TRUE(equal(graph, same, open));
  EXPECT_TRUE(equal(graph, weights, b.neg(weights)));
  EXPECT_FALSE(equal(graph, x, other));
  EXPECT_FALSE(equal(graph, wide, x));
  EXPECT_FALSE(equal(graph, wide, other));
  EXPECT_FALSE(equal(graph, half, open));
  EXPECT_FALSE(equal(graph, less, open));
  EXPECT_FALSE(equal(graph, unknown, b.neg(unknown)));
}

TEST_F(SymbolicShapesTest, GradientsOfImagesAreLikeThem) {
  Graph graph;
  GraphBuilder b(graph);
  const Endpoint x = b.arg("x", DType::kFloat, {-1, -1, 6, 4});
  const Endpoint other = b.arg("other", DType::kFloat, {-1, -1, 6, 4});
  const Endpoint filter = b.constant(Tensor(DType::kFloat, Shape{3, 3, 4, 2}));
  const AttrMap attrs{{"strides", std::vector<int64_t>{1, 2, 2, 1}},
                      {"padding", std::string("SAME")}};
  const auto gradient = [&](const std::string& op, Endpoint of) {
    const Endpoint dy = b.op("Sin", {b.op(op, {of, filter}, attrs)});
    const std::string name = op == "Conv2D" ? "Conv2DBackpropInput" : op + "BackpropInput";
    return b.op(name, {b.shape_of(of), filter, dy}, attrs);
  };
  for (const char* op : {"Conv2D", "DepthwiseConv2dNative"}) {
    const Endpoint dx = gradient(op, x), of_other = gradient(op, other);
    ASSERT_TRUE(b.status().ok()) << b.status();
    EXPECT_TRUE(equal(graph, dx, x));
    EXPECT_FALSE(equal(graph, dx, other));
    EXPECT_TRUE(equal(graph, of_other, other));
  }
}

TEST_F(SymbolicShapesTest, RowsThatAreJoinedAndPartedComeBack) {
  Graph graph;
  GraphBuilder b(graph);
  const Endpoint x = b.arg("x", DType::kFloat, {-1, 4, 8});
  const Endpoint other = b.arg("other", DType::kFloat, {-1, 4, 8});
  const Endpoint rows = b.reshape(x, b.integers({-1, 8}));
  const Endpoint product = b.matmul(rows, b.constant(Tensor(DType::kFloat, Shape{8, 16})));
  const Endpoint wide = b.reshape(product, b.integers({-1, 4, 16}));
  const Endpoint twice = b.reshape(product, b.integers({-1, 2, 16}));
  const Endpoint asked = b.reshape(b.reshape(other, b.integers({-1})), b.shape_of(x));
  const Endpoint column = b.mean(wide, std::array<int64_t, 1>{2}, true);
  ASSERT_TRUE(b.status().ok()) << b.status();
  EXPECT_TRUE(equal(graph, wide, b.add(wide, b.op("ConcatV2", {x, x, b.scalar<int32_t>(2)}))));
  EXPECT_TRUE(equal(graph, b.reshape(twice, b.integers({-1, 16})), product));
  EXPECT_TRUE(equal(graph, asked, x));
  EXPECT_FALSE(equal(graph, b.reshape(product, b.integers({-1, 8, 16})), wide));
  EXPECT_FALSE(equal(graph, other, x));
  const auto shapes = SymbolicShapes::analyze(graph);
  ASSERT_TRUE(shapes.ok());
  EXPECT_TRUE(shapes->is_column_of(column, wide));
  EXPECT_TRUE(shapes->is_column_of(column, x));
  EXPECT_FALSE(shapes->is_column_of(column, other));
  EXPECT_FALSE(shapes->is_column_of(x, wide));
}

// Random graphs over values of rank 0 to 3.
class RandomGraph {
 public:
  explicit RandomGraph(uint32_t seed) : random_(seed) {
    GraphBuilder b(graph_);
    for (int i = 0; i < 4; ++i) {
      PartialShape shape = PartialShape::unknown_of_rank(below(4));
      for (int axis = 0; axis < shape.rank(); ++axis) {
        if (below(3) == 0) shape.set(axis, 1 + below(3));
      }
      values_.push_back(b.arg("x", DType::kFloat, shape));
    }
    for (int i = 0; i < 40; ++i) grow();
  }

  Graph& graph() { return graph_; }
  const std::vector<Endpoint>& values() const { return values_; }

  // The graph for arguments of concrete shapes that fit; false where they do not go together.
  bool fix(Graph& copy) {
    for (NodeId arg : copy.args) {
      PartialShape shape = copy.value({arg, 0}).shape;
      for (int axis = 0; axis < shape.rank(); ++axis) {
        if (shape[axis] < 0) shape.set(axis, below(3) == 0 ? 1 : size_);
      }
      copy.node(arg).attrs.set("shape", shape);
    }
    const auto order = copy.topological_order();
    for (NodeId id : *order) {
      if (!copy.infer(id).ok()) return false;
    }
    return true;
  }
  void set_size(int64_t size) { size_ = size; }

 private:
  int below(int end) { return static_cast<int>(random_() % static_cast<uint32_t>(end)); }
  Endpoint pick() { return values_[random_() % values_.size()]; }

  // A node that may fail to be made: then none is.
  void grow() {
    GraphBuilder b(graph_);
    const Endpoint x = pick(), y = pick();
    const int rank = b.shape(x).has_rank() ? b.shape(x).rank() : 0;
    const auto axis = [&] { return b.scalar<int32_t>(below(std::max(rank, 1))); };
    const auto axes = [&] {
      std::vector<int64_t> order;
      for (int i = 0; i < rank; ++i) order.push_back((i + 1) % rank);
      return b.integers(std::span<const int64_t>(order));
    };
    Endpoint made;
    switch (below(14)) {
      case 0:
        made = b.neg(x);
        break;
      case 1:
        made = b.add(x, y);
        break;
      case 2:
        made = b.mul(x, y);
        break;
      case 3:
        made = b.op("ConcatV2", {x, y, axis()});
        break;
      case 4:
        made = b.op("Transpose", {x, axes()});
        break;
      case 5:
        made = b.op("ExpandDims", {x, axis()});
        break;
      case 6:
        made = b.op("Sum", {x, axis()}, {{"keep_dims", below(2) == 0}});
        break;
      case 7:
        made = b.op("AddN", {x, y});
        break;
      case 8:
        made = b.op("SelectV2", {b.op("Greater", {x, y}), x, y});
        break;
      case 9:
        made = b.op("Select", {b.op("Greater", {x, x}), x, y});
        break;
      case 10:
        made = b.op("BatchMatMulV2", {x, y});
        break;
      case 11:
        made = b.op("Pack", {x, y}, {{"axis", int64_t{below(2)}}});
        break;
      case 12:
        made = b.op("ReverseV2", {x, b.integers({0})});
        break;
      default: {
        const std::vector<int64_t> times(static_cast<size_t>(rank), 1 + below(2));
        made = b.op("Tile", {x, b.integers(std::span<const int64_t>(times))});
      }
    }
    if (made && b.status().ok()) values_.push_back(made);
  }

  Graph graph_;
  std::mt19937 random_;
  std::vector<Endpoint> values_;
  int64_t size_ = 2;
};

TEST_F(SymbolicShapesTest, EqualShapesAreEqualForEveryArgument) {
  int compared = 0;
  for (uint32_t seed = 0; seed < 150; ++seed) {
    RandomGraph random(seed);
    const auto shapes = SymbolicShapes::analyze(random.graph());
    ASSERT_TRUE(shapes.ok()) << shapes.status();
    std::vector<std::pair<Endpoint, Endpoint>> equal;
    for (Endpoint a : random.values()) {
      for (Endpoint b : random.values()) {
        if (a < b && shapes->equal(a, b)) equal.emplace_back(a, b);
      }
    }
    for (int64_t size : {2, 3, 5, 2, 3, 5}) {
      Graph copy = random.graph();
      random.set_size(size);
      if (!random.fix(copy)) continue;
      for (const auto& [a, b] : equal) {
        ASSERT_TRUE(copy.value(a).shape.is_fully_known() && copy.value(b).shape.is_fully_known());
        ++compared;
        ASSERT_EQ(to_string(copy.value(a).shape), to_string(copy.value(b).shape))
            << "seed " << seed << ": " << describe(copy.node(a.node)) << " and "
            << describe(copy.node(b.node)) << " of\n"
            << to_string(random.graph());
      }
    }
  }
  EXPECT_GT(compared, 1000);
}

}  // namespace
}  // namespace tenon
