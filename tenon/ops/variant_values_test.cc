// What TensorFlow 2.21 answers for values that travel as variants: TensorMaps, Optionals and sparse
// matrices.
#include "tenon/graph/builder.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/registered_ops_test.h"
#include "tenon/runtime/executable.h"

namespace tenon {
namespace {

class VariantValues : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!OpRegistry::global().find("While")) {
      ASSERT_TRUE(register_all_ops(OpRegistry::global()).ok());
    }
  }

  StatusOr<Tensor> value(Endpoint of) {
    TENON_RETURN_IF_ERROR(b.status());
    graph.results = {of};
    graph.result_names = {"y"};
    TENON_ASSIGN_OR_RETURN(const auto executable,
                           Executable::create(graph, std::make_shared<ModelState>()));
    std::vector<Tensor> results;
    TENON_RETURN_IF_ERROR(executable->run({}, results));
    return results[0];
  }
  template <class T>
  std::vector<T> elements(Endpoint of) {
    const StatusOr<Tensor> tensor = value(of);
    EXPECT_TRUE(tensor.ok()) << tensor.status();
    if (!tensor.ok() || tensor->dtype() != dtype_of<T>) return {};
    const auto span = tensor->span<T>();
    return std::vector<T>(span.begin(), span.end());
  }
  absl::StatusCode code(Endpoint of) { return value(of).status().code(); }

  Endpoint text(const char* word) { return b.constant(Tensor::string(word)); }
  Endpoint matrix(std::vector<int64_t> indices, std::vector<float> values,
                  std::vector<int64_t> shape) {
    const auto count = static_cast<int64_t>(values.size());
    return b.op(
        "SparseTensorToCSRSparseMatrix",
        {b.constant(
             Tensor::from<int64_t>(Shape{count, static_cast<int64_t>(shape.size())}, indices)),
         b.constant(Tensor::vector<float>(values)), b.constant(Tensor::vector<int64_t>(shape))});
  }
  Endpoint dense(Endpoint sparse) {
    return b.op("CSRSparseMatrixToDense", {sparse}, {{"type", DType::kFloat}});
  }

  Graph graph;
  GraphBuilder b{graph};
  using Floats = std::vector<float>;
  static constexpr auto kRefused = absl::StatusCode::kInvalidArgument;
};

TEST_F(VariantValues, MapsKeepTheLastValueOfAKey) {
  const AttrMap floats{{"value_dtype", DType::kFloat}};
  const auto insert = [&](Endpoint map, const char* key, float number) {
    return b.op("TensorMapInsert", {map, text(key), b.scalar(number)});
  };
  const Endpoint map = insert(insert(insert(b.op("EmptyTensorMap", {}), "a", 1), "b", 2), "a", 3);
  const auto lookup = [&](Endpoint in, const char* key, AttrMap attrs) {
    return b.op("TensorMapLookup", {in, text(key)}, std::move(attrs));
  };
  EXPECT_EQ(elements<float>(lookup(map, "a", floats)), Floats{3});
  EXPECT_EQ(elements<int32_t>(b.op("TensorMapSize", {map})), std::vector<int32_t>{2});
  const Endpoint erased = b.op("TensorMapErase", {map, text("a")}, floats);
  EXPECT_EQ(elements<int32_t>(b.op("TensorMapSize", {erased})), std::vector<int32_t>{1});
  EXPECT_FALSE(*value(b.op("TensorMapHasKey", {erased, text("a")}))->data<bool>());
  EXPECT_TRUE(*value(b.op("TensorMapHasKey", {map, text("a")}))->data<bool>());
  EXPECT_EQ(elements<std::string_view>(
                b.op("TensorMapStackKeys", {map}, {{"key_dtype", DType::kString}})),
            (std::vector<std::string_view>{"a", "b"}));
  EXPECT_EQ(code(lookup(erased, "a", floats)), kRefused);
  EXPECT_EQ(code(lookup(map, "a", {{"value_dtype", DType::kInt32}})), kRefused);
  EXPECT_EQ(code(b.op("TensorMapErase", {erased, text("a")}, floats)), kRefused);
  EXPECT_EQ(code(b.op("TensorMapStackKeys", {b.op("EmptyTensorMap", {})},
                      {{"key_dtype", DType::kString}})),
            kRefused);
}

TEST_F(VariantValues, OptionalsGiveWhatTheyWereMadeOf) {
  const auto get = [&](Endpoint optional, DType dtype, PartialShape shape) {
    return b.op("OptionalGetValue", {optional},
                {{"output_types", std::vector<DType>{dtype}},
                 {"output_shapes", std::vector<PartialShape>{std::move(shape)}}});
  };
  const Endpoint some = b.op("OptionalFromValue", {b.constant(Tensor::vector<float>({1, 2}))},
                             {{"Toutput_types", std::vector<DType>{DType::kFloat}}});
  const Endpoint none = b.op("OptionalNone", {});
  EXPECT_TRUE(*value(b.op("OptionalHasValue", {some}))->data<bool>());
  EXPECT_FALSE(*value(b.op("OptionalHasValue", {none}))->data<bool>());
  EXPECT_EQ(elements<float>(get(some, DType::kFloat, {-1})), (Floats{1, 2}));
  EXPECT_EQ(code(get(none, DType::kFloat, {-1})), kRefused);
  EXPECT_EQ(code(get(some, DType::kInt32, {-1})), kRefused);
  EXPECT_EQ(code(get(some, DType::kFloat, {3})), kRefused);
}

TEST_F(VariantValues, GradientsFlowThroughOptionals) {
  const Endpoint x = b.constant(Tensor::vector<float>({3, 4}));
  const Endpoint y =
      b.op("OptionalGetValue",
           {b.op("OptionalFromValue", {x}, {{"Toutput_types", std::vector<DType>{DType::kFloat}}})},
           {{"output_types", std::vector<DType>{DType::kFloat}},
            {"output_shapes", std::vector<PartialShape>{{2}}}});
  const Endpoint square = b.mul(y, y), ys[] = {square}, xs[] = {x};
  const auto dx = gradients(graph, ys, {}, xs);
  ASSERT_TRUE(dx.ok()) << dx.status();
  EXPECT_EQ(elements<float>((*dx)[0]), (Floats{6, 8}));
}

TEST_F(VariantValues, SparseMatricesMultiply) {
  const Endpoint a = matrix({0, 1, 1, 0, 1, 2}, {2, 3, -1}, {2, 3});
  const Endpoint ones = b.constant(Tensor::from<float>(Shape{3, 2}, Floats{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(elements<float>(dense(a)), (Floats{0, 2, 0, 3, 0, -1}));
  EXPECT_EQ(elements<float>(b.op("SparseMatrixMatMul", {a, ones})), (Floats{6, 8, -2, 0}));
  EXPECT_EQ(elements<float>(b.op("SparseMatrixMatMul", {a, ones}, {{"transpose_output", true}})),
            (Floats{6, -2, 8, 0}));
  const Endpoint rows = b.constant(Tensor::from<float>(Shape{1, 2}, Floats{1, 10}));
  EXPECT_EQ(elements<float>(b.op("SparseMatrixMatMul", {a, rows},
                                 {{"transpose_a", true}, {"transpose_b", true}})),
            (Floats{30, 2, -10}));
  const AttrMap floats{{"type", DType::kFloat}};
  const Endpoint turned = b.op("SparseMatrixTranspose", {a}, floats);
  EXPECT_EQ(elements<float>(dense(turned)), (Floats{0, 3, 2, 0, 0, -1}));
  const Endpoint square = b.op("SparseMatrixSparseMatMul", {a, turned}, floats);
  EXPECT_EQ(elements<float>(dense(square)), (Floats{4, 0, 0, 10}));
  // A sum that is 0 keeps its place.
  const Endpoint left = matrix({0, 0, 0, 1, 1, 0}, {1, 1, 2}, {2, 2});
  const Endpoint zero =
      b.op("SparseMatrixSparseMatMul", {left, matrix({0, 0, 1, 0}, {1, -1}, {2, 2})}, floats);
  EXPECT_EQ(elements<int32_t>(b.op("SparseMatrixNNZ", {zero})), std::vector<int32_t>{2});
}

// Small integers, whose sums are exact in float, so that the order of additions does not show.
TEST_F(VariantValues, ProductsAreTheSumsOfProductsForAnyTeam) {
  for (const auto& [rows, inner, columns] :
       {std::tuple(1, 1, 1), {3, 5, 1}, {7, 300, 33}, {1000, 17, 64}}) {
    Tensor a(DType::kFloat, {2, rows, inner}), w(DType::kFloat, {2, inner, columns});
    for (int64_t i = 0; i < a.num_elements(); ++i) {
      a.mutable_data<float>()[i] = i % 3 == 0 ? static_cast<float>(i * 37 % 11) - 5 : 0;
    }
    for (int64_t i = 0; i < w.num_elements(); ++i) {
      w.mutable_data<float>()[i] = static_cast<float>(i * 53 % 13) - 6;
    }
    Tensor wanted(DType::kFloat, {2, rows, columns});
    for (int64_t at = 0; at < wanted.num_elements(); ++at) {
      const int64_t row = at / columns, batch = row / rows, column = at % columns;
      float sum = 0;
      for (int64_t k = 0; k < inner; ++k) {
        sum += a.data<float>()[row * inner + k] *
               w.data<float>()[(batch * inner + k) * columns + column];
      }
      wanted.mutable_data<float>()[at] = sum;
    }

    Graph product;
    GraphBuilder p(product);
    const Endpoint x = p.arg("x", DType::kFloat, {-1, -1, -1});
    const Endpoint sparse =
        p.op("DenseToCSRSparseMatrix", {x, p.op("Where", {p.op("NotEqual", {x, p.scalar(0.0F)})})});
    const Endpoint factor = p.arg("w", DType::kFloat, {-1, -1, -1});
    product.results = {p.op("SparseMatrixMatMul", {sparse, factor})};
    product.result_names = {"y"};
    ASSERT_TRUE(p.status().ok()) << p.status();
    for (int team : {1, 2, 3, 8, 32}) {
      ExecutableOptions options;
      options.team = team;
      const auto made = Executable::create(product, std::make_shared<ModelState>(), options);
      ASSERT_TRUE(made.ok()) << made.status();
      std::vector<Tensor> results;
      const Tensor args[] = {a, w};
      ASSERT_TRUE((*made)->run(args, results).ok());
      ASSERT_EQ(results[0].shape(), wanted.shape());
      EXPECT_TRUE(std::ranges::equal(results[0].span<float>(), wanted.span<float>()))
          << rows << " rows, team " << team;
    }
  }
}

TEST_F(VariantValues, SparseMatricesComeInBatches) {
  const Endpoint a = matrix({0, 0, 1, 0, 1, 0, 2, 1, 1}, {1, 2, 3}, {3, 2, 2});
  EXPECT_EQ(elements<int32_t>(b.op("SparseMatrixNNZ", {a})), (std::vector<int32_t>{2, 0, 1}));
  const std::vector<Endpoint> parts =
      b.ops("CSRSparseMatrixComponents", {a, b.scalar(2)}, {{"type", DType::kFloat}});
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(elements<int32_t>(parts[0]), (std::vector<int32_t>{0, 0, 1}));
  EXPECT_EQ(elements<int32_t>(parts[1]), std::vector<int32_t>{1});
  EXPECT_EQ(elements<float>(parts[2]), Floats{3});
  const std::vector<Endpoint> sparse =
      b.ops("CSRSparseMatrixToSparseTensor", {a}, {{"type", DType::kFloat}});
  ASSERT_EQ(sparse.size(), 3u);
  EXPECT_EQ(elements<int64_t>(sparse[0]), (std::vector<int64_t>{0, 0, 1, 0, 1, 0, 2, 1, 1}));
  const Endpoint again = b.op("DenseToCSRSparseMatrix", {dense(a), sparse[0]});
  EXPECT_EQ(elements<float>(dense(again)), (Floats{0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 3}));
}

TEST_F(VariantValues, SparseMatricesThatDoNotFitAreRefused) {
  const Endpoint a = matrix({0, 1}, {2}, {2, 2});
  const auto ones = [&](Shape shape) {
    Tensor tensor(DType::kFloat, shape);
    std::fill_n(tensor.mutable_data<float>(), tensor.num_elements(), 1.0F);
    return b.constant(tensor);
  };
  EXPECT_EQ(code(dense(matrix({0, 3}, {1}, {2, 2}))), kRefused);
  EXPECT_EQ(code(dense(matrix({0}, {1}, {2}))), kRefused);
  EXPECT_EQ(code(b.op("SparseMatrixMatMul", {a, ones({3, 2})})), kRefused);
  EXPECT_EQ(code(b.op("SparseMatrixMatMul", {a, ones({1, 2, 2})})), kRefused);
  EXPECT_EQ(code(b.op("SparseMatrixMatMul", {a, ones({2, 2})},
                      {{"transpose_a", true}, {"adjoint_a", true}})),
            kRefused);
  EXPECT_EQ(code(b.op("CSRSparseMatrixComponents", {a, b.scalar(1)}, {{"type", DType::kFloat}})),
            kRefused);
  EXPECT_EQ(code(b.op("CSRSparseMatrixToDense", {a}, {{"type", DType::kDouble}})), kRefused);
}

}  // namespace
}  // namespace tenon
