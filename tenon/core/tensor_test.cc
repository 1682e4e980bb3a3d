#include "tenon/core/tensor.h"

#include <cmath>

#include "tenon/core/variable.h"

namespace tenon {
namespace {

// Values of IEEE 754-2008 binary16: rounding to nearest even at every boundary.
TEST(Float16, RoundsToNearestEven) {
  EXPECT_EQ(float16(1.0f).bits, 0x3c00);
  EXPECT_EQ(float16(1.0f + 0x1p-11f).bits, 0x3c00);             // a tie goes to even
  EXPECT_EQ(float16(1.0f + 0x1p-11f + 0x1p-20f).bits, 0x3c01);  // above the tie
  EXPECT_EQ(float16(65519.0f).bits, 0x7bff);
  EXPECT_EQ(float16(65520.0f).bits, 0x7c00);
  EXPECT_EQ(float16(0x1p-25f).bits, 0x0000);
  EXPECT_EQ(float16(0x1.8p-25f).bits, 0x0001);
  EXPECT_TRUE(std::isnan(static_cast<float>(float16(NAN))));
}

TEST(Float16, EveryValueSurvivesTheWayThroughFloat) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = float16::from_bits(static_cast<uint16_t>(bits));
    if (std::isnan(value)) continue;
    ASSERT_EQ(float16(value).bits, bits);
  }
}

TEST(Bfloat16, RoundsToNearestEvenAndKeepsNan) {
  EXPECT_EQ(bfloat16(1.0f + 0x1p-8f).bits, 0x3f80);
  EXPECT_EQ(bfloat16(1.0f + 0x1.8p-8f).bits, 0x3f81);
  EXPECT_TRUE(std::isnan(static_cast<float>(bfloat16(std::bit_cast<float>(0x7f800001u)))));
}

TEST(DType, EverySpellingOfTensorFlowParses) {
  for (std::string_view text : {"float", "float32", "DT_FLOAT", "float_ref", "DT_FLOAT_REF"}) {
    EXPECT_EQ(parse_dtype(text), DType::kFloat) << text;
  }
  EXPECT_EQ(dtype_from_enum(101), DType::kFloat);
  EXPECT_EQ(parse_dtype("float99"), std::nullopt);
}

TEST(Shape, UntrustedDimensionsAreChecked) {
  EXPECT_FALSE(Shape::make(std::vector<int64_t>{2, -1}).ok());
  EXPECT_FALSE(Shape::make(std::vector<int64_t>{int64_t{1} << 40, int64_t{1} << 40}).ok());
  EXPECT_FALSE(Shape::make(std::vector<int64_t>(300, 1)).ok());
  // Strides of the dimensions after a 0 must fit too.
  EXPECT_FALSE(Shape::make(std::vector<int64_t>{0, int64_t{1} << 40, int64_t{1} << 40}).ok());
  EXPECT_TRUE(Shape::make(std::vector<int64_t>{0, 3}).ok());
}

TEST(PartialShape, MergeKeepsWhatEitherKnows) {
  const auto merged = PartialShape::merge({-1, 3}, {2, -1});
  ASSERT_TRUE(merged.ok());
  EXPECT_EQ(*merged, (PartialShape{2, 3}));
  EXPECT_FALSE(PartialShape::merge({2}, {3}).ok());
  EXPECT_EQ(*PartialShape::merge(PartialShape(), {3}), (PartialShape{3}));
}

TEST(StringTensor, PiecesOfAnotherTensorAreSharedNotCopied) {
  const Tensor whole = Tensor::string("hello world");
  StringTensorBuilder builder(Shape{2});
  builder.share(whole);
  builder.set_view(0, whole.data<std::string_view>()->substr(0, 5));
  builder.set(1, "copied");
  const Tensor pieces = std::move(builder).build();
  EXPECT_EQ(pieces.data<std::string_view>()[0].data(), whole.data<std::string_view>()->data());
  EXPECT_EQ(to_string(pieces), "string [2]: \"hello\" \"copied\"");
}

TEST(Tensor, SliceSharesTheBuffer) {
  const Tensor tensor = Tensor::from<int32_t>(Shape{3, 2}, std::vector<int32_t>{1, 2, 3, 4, 5, 6});
  const Tensor slice = tensor.slice(1, 2);
  EXPECT_EQ(to_string(slice), "int32 [2,2]: 3 4 5 6");
  EXPECT_EQ(slice.buffer(), tensor.buffer());
}

// A NumPy array of 16 bytes' alignment, say, and a view into the middle of one.
TEST(Tensor, LentMemoryIsReadAndGivenBackOnce) {
  alignas(64) float memory[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  int released = 0;
  const auto release = [&] { ++released; };
  {
    const StatusOr<Tensor> lent = Tensor::lent(DType::kFloat, {2, 2}, memory + 4, release);
    ASSERT_TRUE(lent.ok()) << lent.status();
    EXPECT_EQ(lent->raw(), memory + 4);
    EXPECT_TRUE(lent->buffer()->read_only());
    EXPECT_FALSE(lent->writable());
    const Tensor view = lent->reshaped(Shape{4});
    EXPECT_EQ(released, 0);
  }
  EXPECT_EQ(released, 1);
  const StatusOr<Tensor> copied = Tensor::lent(DType::kFloat, {3}, memory + 1, release);
  ASSERT_TRUE(copied.ok()) << copied.status();
  EXPECT_EQ(released, 2);
  EXPECT_TRUE(copied->writable());
  EXPECT_EQ(copied->data<float>()[2], 3.0f);
  EXPECT_FALSE(Tensor::lent(DType::kString, {1}, memory, release).ok());
  EXPECT_FALSE(Tensor::lent(DType::kFloat, {1}, nullptr, release).ok());
  EXPECT_FALSE(
      Tensor::lent(DType::kFloat, {int64_t{1} << 40, int64_t{1} << 40}, memory, release).ok());
  EXPECT_EQ(released, 5);
  EXPECT_TRUE(Tensor::lent(DType::kFloat, {0}, nullptr, nullptr).ok());
}

// Whoever lends memory may change it later: a variable has its own.
TEST(Variable, HoldsNoLentMemory) {
  alignas(64) float memory[4] = {1, 2, 3, 4};
  Variable variable("v", DType::kFloat, PartialShape{4});
  ASSERT_TRUE(variable.assign(*Tensor::lent(DType::kFloat, {4}, memory, nullptr)).ok());
  memory[0] = 9;
  const auto add_one = [](Tensor& value) {
    for (int64_t i = 0; i < value.num_elements(); ++i) value.mutable_data<float>()[i] += 1;
    return absl::OkStatus();
  };
  const Tensor before = *variable.read();
  ASSERT_TRUE(variable.update(add_one).ok());
  EXPECT_EQ(variable.read()->data<float>()[0], 2.0f);
  EXPECT_EQ(before.data<float>()[0], 1.0f);
  EXPECT_EQ(memory[1], 2.0f);
}

}  // namespace
}  // namespace tenon
