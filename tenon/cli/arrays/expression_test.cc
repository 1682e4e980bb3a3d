#include "tenon/cli/arrays/expression.h"

#include <gtest/gtest.h>

#include "tenon/io/example.h"

namespace tenon::cli {
namespace {

TEST(Expression, HasNumPysDtypesAndShapes) {
  const struct {
    const char* text;
    DType dtype;
    Shape shape;
  } cases[] = {
      {"1", DType::kInt64, {}},
      {"-2.5e3", DType::kDouble, {}},
      {"True", DType::kBool, {}},
      {"[[1, 2], [3, 4.5]]", DType::kDouble, {2, 2}},
      {"((1, 2, 3),)", DType::kInt64, {1, 3}},
      {"(7)", DType::kInt64, {}},
      {"['a', b'b\\x00']", DType::kString, {2}},
      {"np.ones((2, 3))", DType::kDouble, {2, 3}},
      {"np.zeros(4, dtype=np.uint8)", DType::kUint8, {4}},
      {"np.full((2,), 7)", DType::kInt64, {2}},
      {"np.arange(6).reshape(2, -1).astype(np.float32)", DType::kFloat, {2, 3}},
      {"np.array([1, 2], dtype=np.int32)", DType::kInt32, {2}},
      {"[]", DType::kDouble, {0}},
  };
  for (const auto& c : cases) {
    const StatusOr<Tensor> tensor = evaluate_expression(c.text);
    ASSERT_TRUE(tensor.ok()) << c.text << ": " << tensor.status();
    EXPECT_EQ(tensor->dtype(), c.dtype) << c.text;
    EXPECT_EQ(tensor->shape(), c.shape) << c.text;
  }
}

TEST(Expression, HasTheValues) {
  const StatusOr<Tensor> range = evaluate_expression("np.arange(1, 2, 0.25)");
  ASSERT_TRUE(range.ok());
  EXPECT_EQ(std::vector<double>(range->span<double>().begin(), range->span<double>().end()),
            (std::vector<double>{1, 1.25, 1.5, 1.75}));
  const StatusOr<Tensor> escaped = evaluate_expression(R"('a\n\x41\'')");
  ASSERT_TRUE(escaped.ok());
  EXPECT_EQ(escaped->data<std::string_view>()[0], "a\nA'");
}

TEST(Expression, SaysWhereItStopsBeingOne) {
  for (const char* text :
       {"", "[1, 2", "[[1], [2, 3]]", "[1, 'a']", "np.random.rand(2)", "__import__('os')", "1 + 1",
        "np.ones((-1,))", "np.ones((1 << 40))", "np.ones((99999999, 99999999))", "'open",
        "np.arange(3).reshape(2, 2)", "np.zeros((2,), dtype=np.nothing)", "{'a': 1}"}) {
    EXPECT_FALSE(evaluate_expression(text).ok()) << text;
  }
  EXPECT_FALSE(evaluate_expression(std::string(100'000, '[')).ok());
}

TEST(Expression, ConvertsToWiderKindsOnly) {
  const Tensor whole = Tensor::vector<int64_t>({1, 2});
  const StatusOr<Tensor> floats = convert_tensor(whole, DType::kFloat);
  ASSERT_TRUE(floats.ok());
  EXPECT_EQ(floats->data<float>()[1], 2.0f);
  EXPECT_EQ(convert_tensor(*floats, DType::kInt64)->data<int64_t>()[1], 2);
  EXPECT_FALSE(convert_tensor(whole, DType::kString).ok());
  EXPECT_EQ(convert_tensor(Tensor::vector<uint16_t>({0x3f80}), DType::kBfloat16)->dtype(),
            DType::kBfloat16);
}

TEST(Expression, ConvertsNothingToAValueThatDiffers) {
  const auto fits = [](const Tensor& tensor, DType dtype) {
    return convert_tensor(tensor, dtype).ok();
  };
  EXPECT_TRUE(fits(Tensor::vector<int64_t>({0, 1}), DType::kBool));
  EXPECT_FALSE(fits(Tensor::vector<int64_t>({0, 2}), DType::kBool));
  EXPECT_TRUE(fits(Tensor::vector<bool>({true, false}), DType::kInt32));
  EXPECT_FALSE(fits(Tensor::vector<double>({1.0, 2.5}), DType::kInt32));
  EXPECT_FALSE(fits(Tensor::vector<double>({std::nan("")}), DType::kInt32));
  EXPECT_FALSE(fits(Tensor::vector<int64_t>({4'000'000'000}), DType::kInt32));
  EXPECT_FALSE(fits(Tensor::vector<int8_t>({-1}), DType::kUint64));
  EXPECT_FALSE(fits(Tensor::vector<int64_t>({-1}), DType::kUint64));
  EXPECT_FALSE(fits(Tensor::vector<uint8_t>({200}), DType::kInt8));
  EXPECT_FALSE(fits(Tensor::vector<int64_t>({(int64_t{1} << 53) + 1, -1}), DType::kUint64));
  EXPECT_TRUE(fits(Tensor::vector<int64_t>({(int64_t{1} << 53) + 1}), DType::kUint64));
  EXPECT_TRUE(fits(Tensor::vector<double>({0.1}), DType::kFloat));
  EXPECT_TRUE(fits(Tensor::vector<std::complex<float>>({{1, 0}}), DType::kFloat));
  EXPECT_FALSE(fits(Tensor::vector<std::complex<float>>({{1, 2}}), DType::kFloat));
}

TEST(Expression, EncodesExamplesThatAReaderDecodes) {
  const StatusOr<Tensor> examples =
      evaluate_examples("[{'age': [22.5, 3.0], 'name': ['x', b'yz'], 'n': [-1, 300]}]");
  ASSERT_TRUE(examples.ok()) << examples.status();
  ExampleView view;
  ASSERT_TRUE(view.decode(examples->data<std::string_view>()[0]).ok());
  std::vector<float> ages;
  std::vector<std::string_view> names;
  std::vector<int64_t> numbers;
  ASSERT_TRUE(view.find("age")->append_floats(ages).ok());
  ASSERT_TRUE(view.find("name")->append_bytes(names).ok());
  ASSERT_TRUE(view.find("n")->append_int64s(numbers).ok());
  EXPECT_EQ(ages, (std::vector<float>{22.5f, 3.0f}));
  EXPECT_EQ(names, (std::vector<std::string_view>{"x", "yz"}));
  EXPECT_EQ(numbers, (std::vector<int64_t>{-1, 300}));
  EXPECT_TRUE(evaluate_examples("[{'age': [22.5, 1]}]").ok());  // as protobuf's extend() takes
  EXPECT_FALSE(evaluate_examples("[{'age': [1, 22.5]}]").ok());
  EXPECT_FALSE(evaluate_examples("[{'age': 22.5}]").ok());
  EXPECT_FALSE(evaluate_examples("{'age': [1]}").ok());
}

}  // namespace
}  // namespace tenon::cli
