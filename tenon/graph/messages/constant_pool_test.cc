#include "tenon/graph/messages/constant_pool.h"

#include <gtest/gtest.h>

#include <cstring>

namespace tenon {
namespace {

Tensor filled(const Shape& shape, float value, float last) {
  Tensor tensor(DType::kFloat, shape);
  std::fill_n(tensor.mutable_data<float>(), tensor.num_elements(), value);
  tensor.mutable_data<float>()[tensor.num_elements() - 1] = last;
  return tensor;
}

TEST(ConstantPool, KeepsEqualConstantsOnce) {
  ConstantPool pool;
  const Tensor first = pool.shared(filled({200, 100}, 1, 2));
  EXPECT_EQ(pool.shared(filled({200, 100}, 1, 2)).raw(), first.raw());
  // Another last element, shape or dtype is another constant.
  EXPECT_NE(pool.shared(filled({200, 100}, 1, 3)).raw(), first.raw());
  EXPECT_EQ(pool.shared(filled({200, 100}, 1, 3)).data<float>()[19999], 3.0f);
  EXPECT_NE(pool.shared(filled({100, 200}, 1, 2)).raw(), first.raw());
  EXPECT_NE(pool.shared(filled({200, 100}, 1, 2).as_dtype(DType::kInt32)).raw(), first.raw());
  // A view of memory that nobody owns, not even aligned.
  std::vector<char> bytes(first.num_bytes() + 1);
  std::memcpy(bytes.data() + 1, first.raw(), first.num_bytes());
  const Tensor view(DType::kFloat, first.shape(), Ref<Buffer>(), bytes.data() + 1);
  EXPECT_EQ(pool.find(view).raw(), first.raw());
  bytes[5]++;
  EXPECT_FALSE(pool.find(view).has_value());
  // Small ones are not looked at.
  const Tensor small = pool.shared(filled({10}, 1, 1));
  EXPECT_TRUE(small.buffer()->unique());
}

TEST(ConstantPool, LetsGoOfWhatNobodyElseHas) {
  ConstantPool pool;
  const Tensor memory = filled({200, 100}, 1, 1);
  bool released = false;
  Tensor gone(DType::kFloat, memory.shape(),
              Buffer::lent(memory.buffer()->data(), memory.num_bytes(), [&] { released = true; }),
              memory.buffer()->data());
  gone = pool.shared(gone);
  const Tensor other = pool.shared(filled({200, 100}, 2, 2));
  EXPECT_FALSE(released);
  gone = Tensor();
  EXPECT_EQ(pool.shared(filled({200, 100}, 2, 2)).raw(), other.raw());
  const Tensor third = pool.shared(filled({200, 100}, 3, 3));
  EXPECT_TRUE(released);
}

}  // namespace
}  // namespace tenon
