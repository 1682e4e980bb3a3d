#include <random>

#include "google/protobuf/stubs/logging.h"
#include "tenon/io/example.h"
#include "tensorflow/core/example/example.pb.h"

namespace tenon {
namespace {

tensorflow::Example make_example() {
  tensorflow::Example example;
  auto& features = *example.mutable_features()->mutable_feature();
  auto* floats = features["floats"].mutable_float_list();
  auto* ints = features["ints"].mutable_int64_list();
  for (int i = 0; i < 5; ++i) {
    floats->add_value(static_cast<float>(i) / 3);
    ints->add_value(int64_t{1000000007} * i - 3);
  }
  features["texts"].mutable_bytes_list()->add_value("one");
  features["texts"].mutable_bytes_list()->add_value("");
  features["empty"].mutable_float_list();
  features["unset"];
  return example;
}

// The outside truth is protobuf's own serializer.
TEST(ExampleView, GivesWhatProtobufSerialized) {
  const std::string bytes = make_example().SerializeAsString();
  ExampleView view;
  for (int round = 0; round < 2; ++round) {  // a used object is as good as a new one
    ASSERT_TRUE(view.decode(bytes).ok());
    EXPECT_EQ(view.entries().size(), 5u);
    std::vector<float> floats;
    ASSERT_TRUE(view.find("floats")->append_floats(floats).ok());
    EXPECT_EQ(floats, (std::vector<float>{0, 1.f / 3, 2.f / 3, 1, 4.f / 3}));
    std::vector<int64_t> ints;
    ASSERT_TRUE(view.find("ints")->append_int64s(ints).ok());
    EXPECT_EQ(ints, (std::vector<int64_t>{-3, 1000000004, 2000000011, 3000000018, 4000000025}));
    std::vector<std::string_view> texts;
    ASSERT_TRUE(view.find("texts")->append_bytes(texts).ok());
    EXPECT_EQ(texts, (std::vector<std::string_view>{"one", ""}));
    EXPECT_EQ(view.find("empty")->kind(), FeatureKind::kFloat);
    EXPECT_EQ(view.find("unset")->kind(), FeatureKind::kNone);
    EXPECT_EQ(view.find("absent"), nullptr);
  }
}

TEST(ExampleView, ReadsListsThatAreNotPacked) {
  // FloatList and Int64List of the tags that proto2 would write: one field a value.
  std::vector<float> floats;
  ASSERT_TRUE(FeatureView(FeatureKind::kFloat,
                          std::string_view("\x0d\x00\x00\x80\x3f\x0d\x00\x00\x00\x40", 10))
                  .append_floats(floats)
                  .ok());
  EXPECT_EQ(floats, (std::vector<float>{1, 2}));
  std::vector<int64_t> ints;
  ASSERT_TRUE(FeatureView(FeatureKind::kInt64, std::string_view("\x08\x05\x0a\x01\x07\x08\x06", 7))
                  .append_int64s(ints)
                  .ok());
  EXPECT_EQ(ints, (std::vector<int64_t>{5, 7, 6}));
}

TEST(ExampleView, TheLastOfTwoEqualKeysCounts) {
  tensorflow::Example first, second;
  (*first.mutable_features()->mutable_feature())["k"].mutable_int64_list()->add_value(1);
  (*second.mutable_features()->mutable_feature())["k"].mutable_bytes_list()->add_value("two");
  const std::string bytes = first.SerializeAsString() + second.SerializeAsString();
  ExampleView view;
  ASSERT_TRUE(view.decode(bytes).ok());
  tensorflow::Example parsed;
  ASSERT_TRUE(parsed.ParseFromString(bytes));
  EXPECT_TRUE(parsed.features().feature().at("k").has_bytes_list());
  EXPECT_EQ(view.find("k")->kind(), FeatureKind::kBytes);
}

// Where protobuf accepts the bytes too, both say the same.
TEST(ExampleView, AgreesWithProtobufOnRandomlyDamagedBytes) {
  const std::string bytes = make_example().SerializeAsString();
  const google::protobuf::LogSilencer quiet;  // it complains of every key that is no UTF-8
  std::mt19937 random(7);
  int refused = 0, accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string broken =
        bytes.substr(0, random() % 4 == 0 ? random() % bytes.size() : bytes.size());
    for (unsigned flips = random() % 4; flips > 0 && !broken.empty(); --flips) {
      broken[random() % broken.size()] = static_cast<char>(random());
    }
    ExampleView view;
    Status status = view.decode(broken);
    for (const ExampleView::Entry& entry : view.entries()) {
      std::vector<float> floats;
      std::vector<int64_t> ints;
      std::vector<std::string_view> texts;
      const FeatureKind kind = entry.feature.kind();
      if (kind == FeatureKind::kFloat) status.Update(entry.feature.append_floats(floats));
      if (kind == FeatureKind::kInt64) status.Update(entry.feature.append_int64s(ints));
      if (kind == FeatureKind::kBytes) status.Update(entry.feature.append_bytes(texts));
    }
    refused += !status.ok();
    tensorflow::Example parsed;
    if (!status.ok() || !parsed.ParseFromString(broken)) continue;
    ++accepted;
    for (const auto& [name, feature] : parsed.features().feature()) {
      ASSERT_NE(view.find(name), nullptr);
      EXPECT_EQ(static_cast<int>(view.find(name)->kind()), static_cast<int>(feature.kind_case()));
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_GT(accepted, 1000);
}

TEST(SequenceExampleView, GivesWhatProtobufSerialized) {
  tensorflow::SequenceExample example;
  (*example.mutable_context()->mutable_feature())["id"].mutable_int64_list()->add_value(7);
  auto& list = (*example.mutable_feature_lists()->mutable_feature_list())["words"];
  list.add_feature()->mutable_bytes_list()->add_value("a");
  list.add_feature()->mutable_bytes_list()->add_value("b");
  const std::string bytes = example.SerializeAsString();
  SequenceExampleView view;
  ASSERT_TRUE(view.decode(bytes).ok());
  std::vector<int64_t> ids;
  ASSERT_TRUE(view.context().find("id")->append_int64s(ids).ok());
  EXPECT_EQ(ids, std::vector<int64_t>{7});
  ASSERT_NE(view.find("words"), nullptr);
  EXPECT_EQ(view.find("words")->size(), 2u);
  std::vector<std::string_view> words;
  ASSERT_TRUE((*view.find("words"))[1].append_bytes(words).ok());
  EXPECT_EQ(words, std::vector<std::string_view>{"b"});
  for (size_t cut = 1; cut < bytes.size(); ++cut) {
    static_cast<void>(view.decode(std::string_view(bytes).substr(0, cut)));
  }
}

}  // namespace
}  // namespace tenon
