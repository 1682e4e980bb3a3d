#include "tenon/io/checkpoint_v1.h"
#include "tenon/io/npy.h"
#include "tensorflow/core/framework/tensor.pb.h"

namespace tenon {
namespace {

// ckpt.npz holds what TensorFlow read from the same checkpoint.
TEST(CheckpointV1, GivesTheValuesThatTensorFlowReads) {
  const std::string folder = TENON_SOURCE_DIR "/../shared/cases/models/tf1_mlp_session/";
  auto reader = CheckpointV1Reader::open(folder + "ckpt_v1/model.ckpt-100");
  ASSERT_TRUE(reader.ok()) << reader.status();
  auto golden = NpzReader::open(folder + "ckpt.npz");
  ASSERT_TRUE(golden.ok()) << golden.status();
  EXPECT_EQ((*reader)->entries().size(), golden->names().size());
  for (const std::string& name : golden->names()) {
    const Tensor want = *golden->read(name);
    auto got = (*reader)->read(name);
    ASSERT_TRUE(got.ok()) << got.status();
    ASSERT_EQ(got->dtype(), want.dtype());
    ASSERT_EQ(got->shape(), want.shape());
    EXPECT_EQ(std::memcmp(got->raw(), want.raw(), want.num_bytes()), 0) << name;
  }
  EXPECT_TRUE(absl::IsNotFound((*reader)->read("missing").status()));
}

TEST(TensorValues, AreTakenFromTheFieldOfTheirDtype) {
  tensorflow::TensorProto proto;
  for (const int value : {-3, 0, 70000}) {
    proto.add_float_val(static_cast<float>(value) / 2);
    proto.add_double_val(value / 4.0);
    proto.add_int_val(value);
    proto.add_int64_val(int64_t{value} << 20);
    proto.add_uint32_val(static_cast<uint32_t>(value));
    proto.add_uint64_val(static_cast<uint64_t>(value));
    proto.add_half_val(0x3c00);
    proto.add_bool_val(value != 0);
    proto.add_string_val(std::to_string(value));
    proto.add_scomplex_val(1.0f);
    proto.add_scomplex_val(static_cast<float>(value));
  }
  const std::string bytes = proto.SerializeAsString();
  const auto expect = [&]<class T>(std::initializer_list<T> values) {
    auto tensor = decode_tensor_values(bytes, dtype_of<T>, Shape{3});
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_TRUE(std::equal(values.begin(), values.end(), tensor->template data<T>()));
    EXPECT_EQ(decode_tensor_values(bytes, dtype_of<T>, Shape{4}).status().code(),
              absl::StatusCode::kDataLoss);
  };
  expect({-1.5f, 0.0f, 35000.0f});
  expect({-0.75, 0.0, 17500.0});
  expect({int32_t{-3}, int32_t{0}, int32_t{70000}});
  expect({int64_t{-3} * 1048576, int64_t{0}, int64_t{70000} << 20});
  expect({uint32_t(-3), uint32_t{0}, uint32_t{70000}});
  expect({uint64_t(-3), uint64_t{0}, uint64_t{70000}});
  expect({int8_t{-3}, int8_t{0}, static_cast<int8_t>(70000)});
  expect({true, false, true});
  expect({std::complex<float>(1, -3), std::complex<float>(1, 0), std::complex<float>(1, 70000)});
  expect({std::string_view("-3"), std::string_view("0"), std::string_view("70000")});
  EXPECT_EQ(decode_tensor_values(bytes, DType::kHalf, Shape{3})->data<float16>()[2], 1.0f);
}

}  // namespace
}  // namespace tenon
