// Tensors on the wire, beside protobuf's reading and writing of the same messages.
#include <gtest/gtest.h>

#include <random>

#include "tenon/core/tensor_message.h"
#include "tensorflow/core/framework/tensor.pb.h"

namespace tenon {
namespace {

using tensorflow::TensorProto;

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
    auto tensor = parse_tensor_values(bytes, dtype_of<T>, Shape{3});
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_TRUE(std::equal(values.begin(), values.end(), tensor->template data<T>()));
    EXPECT_EQ(parse_tensor_values(bytes, dtype_of<T>, Shape{4}).status().code(),
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
  EXPECT_EQ(parse_tensor_values(bytes, DType::kHalf, Shape{3})->data<float16>()[2], 1.0f);
}

// The sender of a few bytes chooses how many elements its last string stands for.
TEST(TensorValues, AStringThatStandsForManyElementsIsThereOnce) {
  constexpr int64_t kElements = int64_t{1} << 20;
  TensorProto proto;
  proto.set_dtype(tensorflow::DT_STRING);
  proto.mutable_tensor_shape()->add_dim()->set_size(kElements);
  proto.add_string_val("first");
  proto.add_string_val(std::string(size_t{1} << 20, 'x'));  // copied, they would be 2^40 bytes
  const auto tensor = parse_tensor(proto.SerializeAsString());
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->data<std::string_view>()[0], "first");
  EXPECT_EQ(tensor->data<std::string_view>()[1], proto.string_val(1));
  EXPECT_EQ(tensor->data<std::string_view>()[kElements - 1], proto.string_val(1));
}

constexpr DType kWithValues[] = {
    DType::kFloat,   DType::kDouble, DType::kInt32,      DType::kUint8,    DType::kInt16,
    DType::kInt8,    DType::kString, DType::kComplex64,  DType::kInt64,    DType::kBool,
    DType::kQint8,   DType::kQuint8, DType::kQint32,     DType::kBfloat16, DType::kQint16,
    DType::kQuint16, DType::kUint16, DType::kComplex128, DType::kHalf,     DType::kUint32,
    DType::kUint64};

TensorProto random_message(DType dtype, int64_t elements, int given, std::mt19937_64& random) {
  TensorProto proto;
  proto.set_dtype(static_cast<tensorflow::DataType>(dtype));
  if (elements != 1) proto.mutable_tensor_shape()->add_dim()->set_size(elements);
  for (int i = 0; i < given; ++i) {
    const uint64_t bits = random() >> (random() % 64);
    proto.add_float_val(static_cast<float>(static_cast<int64_t>(bits)));
    proto.add_double_val(static_cast<double>(static_cast<int64_t>(bits)));
    proto.add_int_val(static_cast<int32_t>(bits));
    proto.add_int64_val(static_cast<int64_t>(bits));
    proto.add_uint32_val(static_cast<uint32_t>(bits));
    proto.add_uint64_val(bits);
    proto.add_half_val(static_cast<int32_t>(bits & 0xffff));
    proto.add_bool_val(bits % 2 == 1);
    proto.add_string_val(std::to_string(bits));
    for (int part = 0; part < 2; ++part) {
      proto.add_scomplex_val(static_cast<float>(bits >> part));
      proto.add_dcomplex_val(static_cast<double>(bits >> part));
    }
  }
  return proto;
}

template <class T>
std::string raw_bytes(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

// Element `at` of the message's values, by protobuf.
std::string element_of(const TensorProto& proto, DType dtype, int at) {
  switch (dtype) {
    case DType::kFloat:
      return raw_bytes(proto.float_val(at));
    case DType::kDouble:
      return raw_bytes(proto.double_val(at));
    case DType::kInt64:
      return raw_bytes(proto.int64_val(at));
    case DType::kUint64:
      return raw_bytes(proto.uint64_val(at));
    case DType::kUint32:
      return raw_bytes(proto.uint32_val(at));
    case DType::kBool:
      return raw_bytes(proto.bool_val(at));
    case DType::kHalf:
    case DType::kBfloat16:
      return raw_bytes(static_cast<uint16_t>(proto.half_val(at)));
    case DType::kComplex64:
      return raw_bytes(proto.scomplex_val(2 * at)) + raw_bytes(proto.scomplex_val(2 * at + 1));
    case DType::kComplex128:
      return raw_bytes(proto.dcomplex_val(2 * at)) + raw_bytes(proto.dcomplex_val(2 * at + 1));
    case DType::kString:
      return proto.string_val(at);
    default:
      return raw_bytes(proto.int_val(at)).substr(0, size_of(dtype));
  }
}

std::vector<std::string> elements_of(const Tensor& tensor) {
  std::vector<std::string> elements;
  const size_t size = size_of(tensor.dtype());
  for (int64_t i = 0; i < tensor.num_elements(); ++i) {
    if (tensor.dtype() == DType::kString) {
      elements.emplace_back(tensor.data<std::string_view>()[i]);
    } else {
      elements.emplace_back(static_cast<const char*>(tensor.raw()) + static_cast<size_t>(i) * size,
                            size);
    }
  }
  return elements;
}

// As many values as elements, more, fewer (the last one is repeated) and none (zeros); packed, as
// protobuf writes, and in two pieces, as messages are merged.
TEST(TensorMessage, HoldsTheValuesThatProtobufReads) {
  std::mt19937_64 random(7);
  for (DType dtype : kWithValues) {
    for (int64_t elements : {1, 0, 5}) {
      for (int given : {0, 1, 3, 5, 9}) {
        const TensorProto proto = random_message(dtype, elements, given, random);
        TensorProto merged = proto;
        const TensorProto rest = random_message(DType::kInvalid, 1, given % 3, random);
        merged.MergeFrom(rest);
        const std::string whole = proto.SerializeAsString();
        const std::pair<std::string, const TensorProto*> messages[] = {
            {whole, &proto}, {whole + rest.SerializeAsString(), &merged}};
        for (const auto& [bytes, read] : messages) {
          const StatusOr<Tensor> tensor = parse_tensor(bytes);
          ASSERT_TRUE(tensor.ok()) << to_string(dtype) << tensor.status();
          EXPECT_EQ(tensor->dtype(), dtype);
          std::vector<std::string> want;
          for (int i = 0; i < tensor->num_elements(); ++i) {
            const int values = read->bool_val_size();
            const std::string zero(dtype == DType::kString ? 0 : size_of(dtype), '\0');
            want.push_back(values == 0 ? zero : element_of(*read, dtype, std::min(i, values - 1)));
          }
          EXPECT_EQ(elements_of(*tensor), want)
              << to_string(dtype) << " " << elements << " " << given;
        }
      }
    }
  }
}

TEST(TensorMessage, IsWrittenAsProtobufWritesIt) {
  std::mt19937_64 random(8);
  for (DType dtype : kWithValues) {
    for (int64_t elements : {1, 0, 5}) {
      const StatusOr<Tensor> tensor =
          parse_tensor(random_message(dtype, elements, 5, random).SerializeAsString());
      ASSERT_TRUE(tensor.ok()) << tensor.status();
      std::string bytes;
      append_tensor(bytes, *tensor);
      TensorProto proto;
      ASSERT_TRUE(proto.ParseFromString(bytes));
      EXPECT_EQ(proto.SerializeAsString(), bytes) << to_string(dtype);
      EXPECT_EQ(static_cast<int>(proto.dtype()), static_cast<int>(dtype));
      EXPECT_EQ(proto.tensor_shape().dim_size(), tensor->rank());
      std::vector<std::string> want(proto.string_val().begin(), proto.string_val().end());
      for (size_t i = 0; dtype != DType::kString && i < static_cast<size_t>(elements); ++i) {
        want.push_back(proto.tensor_content().substr(i * size_of(dtype), size_of(dtype)));
      }
      EXPECT_EQ(elements_of(*tensor), want) << to_string(dtype);
      EXPECT_EQ(elements_of(*parse_tensor(bytes)), want) << to_string(dtype);
    }
  }
}

TEST(TensorMessage, ShapesAreProtobufs) {
  for (const PartialShape& shape : {PartialShape(), PartialShape(Shape()), PartialShape{-1, 0, 3},
                                    PartialShape{int64_t{1} << 40}}) {
    std::string bytes;
    append_shape(bytes, shape);
    tensorflow::TensorShapeProto proto;
    ASSERT_TRUE(proto.ParseFromString(bytes));
    EXPECT_EQ(proto.SerializeAsString(), bytes);
    EXPECT_EQ(proto.unknown_rank(), !shape.has_rank());
    for (int i = 0; i < proto.dim_size(); ++i)
      EXPECT_EQ(proto.dim(i).size(), shape.dims()[static_cast<size_t>(i)]);
    const StatusOr<PartialShape> again = parse_shape(bytes);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(*again, shape);
  }
}

std::string error_of(const TensorProto& proto, size_t limit = size_t{1} << 20) {
  const StatusOr<Tensor> tensor = parse_tensor(proto.SerializeAsString(), limit);
  return tensor.ok() ? "accepted"
                     : cat(code_name(tensor.status().code()), ": ", message_of(tensor.status()));
}

TEST(TensorMessage, RefusesWhatIsNoTensor) {
  TensorProto proto;
  EXPECT_EQ(error_of(proto), "INVALID_ARGUMENT: a tensor has the unknown dtype 0");
  proto.set_dtype(tensorflow::DT_FLOAT);
  proto.mutable_tensor_shape()->add_dim()->set_size(-1);
  EXPECT_EQ(error_of(proto),
            "INVALID_ARGUMENT: a tensor has the shape [?], it must be fully known");
  proto.mutable_tensor_shape()->mutable_dim(0)->set_size(-2);
  EXPECT_EQ(error_of(proto), "INVALID_ARGUMENT: a shape has the dimension -2");
  proto.mutable_tensor_shape()->mutable_dim(0)->set_size(INT64_MAX);
  EXPECT_TRUE(error_of(proto).starts_with("INVALID_ARGUMENT")) << error_of(proto);
  proto.mutable_tensor_shape()->mutable_dim(0)->set_size(int64_t{1} << 20);
  EXPECT_TRUE(error_of(proto).starts_with("RESOURCE_EXHAUSTED")) << error_of(proto);
  proto.mutable_tensor_shape()->mutable_dim(0)->set_size(2);
  proto.set_tensor_content("1234567");
  EXPECT_EQ(error_of(proto),
            "INVALID_ARGUMENT: a float tensor of shape [2] has 7 bytes of content, 8 are expected");
  proto.set_dtype(tensorflow::DT_VARIANT);
  EXPECT_TRUE(error_of(proto).starts_with("UNIMPLEMENTED")) << error_of(proto);
  EXPECT_EQ(parse_tensor("\x08").status().code(), absl::StatusCode::kInvalidArgument);
  // A float_val of three bytes.
  EXPECT_EQ(parse_tensor(std::string_view("\x08\x01\x2a\x03\x01\x02\x03", 7)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

// Where both accept the bytes they say the same; nothing is read outside of them.
TEST(TensorMessage, AgreesWithProtobufOnDamagedBytes) {
  std::mt19937_64 random(9);
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    const DType dtype = kWithValues[random() % std::size(kWithValues)];
    std::string bytes = random_message(dtype, 3, 2, random).SerializeAsString();
    for (uint64_t i = 0; i <= random() % 3; ++i)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    const StatusOr<Tensor> tensor = parse_tensor(bytes, size_t{1} << 20);
    TensorProto proto;
    if (!tensor.ok() || !proto.ParseFromString(bytes)) continue;
    ++accepted;
    EXPECT_EQ(static_cast<int>(tensor->dtype()), proto.dtype() % 100);  // DT_FLOAT_REF is 101
    ASSERT_EQ(tensor->rank(), proto.tensor_shape().dim_size());
    for (int i = 0; i < tensor->rank(); ++i) {
      EXPECT_EQ(tensor->shape().dims()[static_cast<size_t>(i)], proto.tensor_shape().dim(i).size());
    }
  }
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace tenon
