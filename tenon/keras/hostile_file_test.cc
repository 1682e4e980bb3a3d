// .keras files from strangers: one clear error, whatever is wrong with them.
#include <gtest/gtest.h>

#include "tenon/io/zip.h"
#include "tenon/keras/model.h"
#include "tenon/keras/reference_test.h"

namespace tenon::keras {
namespace {

// A file of real Keras', taken apart.
class HostileFile : public testing::Test {
 protected:
  void SetUp() override {
    StatusOr<TemporaryDirectory> made = TemporaryDirectory::create();
    ASSERT_TRUE(made.ok());
    folder_.emplace(*std::move(made));
    const auto zip = ZipReader::open(testdata("dense_adam.keras"));
    ASSERT_TRUE(zip.ok()) << zip.status();
    for (const ZipEntry& entry : (*zip)->entries()) {
      const StatusOr<std::string> bytes = (*zip)->read(entry.name);
      ASSERT_TRUE(bytes.ok()) << bytes.status();
      members_.emplace_back(entry.name, *bytes);
    }
  }

  std::string& member(std::string_view name) {
    for (auto& [own, bytes] : members_) {
      if (own == name) return bytes;
    }
    return members_.emplace_back(name, "").second;
  }
  void replace(std::string_view name, std::string_view what, std::string_view by) {
    std::string& text = member(name);
    const size_t at = text.find(what);
    ASSERT_NE(at, std::string::npos) << what;
    text.replace(at, what.size(), by);
  }

  std::string path() const { return join_path(folder_->path(), "m.keras"); }
  void write(bool deflated = false) {
    const auto zip = ZipWriter::create(path());
    ASSERT_TRUE(zip.ok()) << zip.status();
    for (const auto& [name, bytes] : members_) {
      ASSERT_EQ((*zip)->add(name, bytes, deflated), absl::OkStatus());
    }
    ASSERT_EQ((*zip)->finish(), absl::OkStatus());
  }
  Status load() const {
    const auto model = Model::load(path());
    return model.status();
  }
  // Refused in one line with a canonical code, which is none of our own bugs'.
  void expect_refused(const std::string& what) const {
    const Status status = load();
    EXPECT_FALSE(status.ok()) << what;
    EXPECT_NE(status.code(), absl::StatusCode::kInternal) << what << ": " << status;
    EXPECT_EQ(message_of(status).find('\n'), std::string_view::npos) << what << ": " << status;
  }

  std::optional<TemporaryDirectory> folder_;
  std::vector<std::pair<std::string, std::string>> members_;
};

TEST_F(HostileFile, IsReadWhenItIsWhole) {
  write();
  EXPECT_EQ(load(), absl::OkStatus());
  write(/*deflated=*/true);
  EXPECT_EQ(load(), absl::OkStatus());
}

TEST_F(HostileFile, MissingAndTruncatedMembersAreRefused) {
  const auto whole = members_;
  for (const char* name : {"config.json", "model.weights.h5"}) {
    members_ = whole;
    std::erase_if(members_, [&](const auto& one) { return one.first == name; });
    write();
    expect_refused(cat("without ", name));
    for (size_t length : {size_t{0}, size_t{1}, size_t{100}}) {
      members_ = whole;
      member(name).resize(std::min(length, member(name).size()));
      write();
      expect_refused(cat(name, " of ", length, " bytes"));
    }
    members_ = whole;
    member(name).resize(member(name).size() / 2);
    write();
    expect_refused(cat("half of ", name));
  }
}

TEST_F(HostileFile, ATruncatedArchiveIsRefused) {
  write();
  const std::string bytes = *read_file(path());
  for (size_t length = 0; length < bytes.size(); length += 1 + bytes.size() / 97) {
    ASSERT_EQ(write_file(path(), bytes.substr(0, length)), absl::OkStatus());
    expect_refused(cat("the first ", length, " bytes"));
  }
}

TEST_F(HostileFile, AFlippedByteIsRefusedOrHarmless) {
  write();
  const std::string bytes = *read_file(path());
  for (size_t at = 0; at < bytes.size(); at += 1 + bytes.size() / 211) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x41);
    ASSERT_EQ(write_file(path(), flipped), absl::OkStatus());
    const Status status = load();
    EXPECT_NE(status.code(), absl::StatusCode::kInternal) << at << ": " << status;
  }
}

TEST_F(HostileFile, AMillionLevelsOfJsonAreRefused) {
  for (const char* bracket : {"[", "{\"a\":"}) {
    std::string& config = member("config.json");
    config.clear();
    for (int i = 0; i < 1000000; ++i) config += bracket;
    write(/*deflated=*/true);
    expect_refused(cat("a million of ", bracket));
  }
}

TEST_F(HostileFile, AConfigThatIsABombIsRefused) {
  member("config.json").assign(256 << 20, ' ');
  write(/*deflated=*/true);
  EXPECT_EQ(load().code(), absl::StatusCode::kResourceExhausted) << load();
}

TEST_F(HostileFile, OtherShapesThanTheConfigsAreRefused) {
  const std::string& config = member("config.json");
  const size_t at = config.find("\"units\": ");
  ASSERT_NE(at, std::string::npos);
  const size_t end = config.find_first_of(",}", at);
  const std::string units = config.substr(at, end - at);
  const auto whole = members_;
  for (const char* other : {"\"units\": 7", "\"units\": 0", "\"units\": -3", "\"units\": 1e300",
                            "\"units\": 9223372036854775807", "\"units\": \"8\"", "\"units\": null",
                            "\"units\": [8]"}) {
    members_ = whole;
    replace("config.json", units, other);
    write();
    expect_refused(other);
  }
}

// The config with its `target`-th value, counted depth first, replaced. `at` counts them.
Json with_value(const Json& json, int64_t& at, int64_t target, const Json& value) {
  if (at++ == target) return value;
  if (const auto* items = json.items()) {
    Json::Array changed;
    for (const Json& item : *items) changed.push_back(with_value(item, at, target, value));
    return Json(std::move(changed));
  }
  if (const auto* members = json.members()) {
    Json changed = Json::object();
    for (const auto& [name, member] : *members) {
      changed.append(name, with_value(member, at, target, value));
    }
    return changed;
  }
  return json;
}

// Loads, compiles, predicts a row and takes a step.
Status use_model(const Json& json) {
  const StatusOr<std::unique_ptr<Model>> model = Model::from_json(json);
  if (!model.ok()) return model.status();
  Inputs x;
  for (const KTensor& input : (*model)->network().inputs) {
    Shape shape{1};
    for (int axis = 1; axis < input.shape().rank(); ++axis) {
      const int64_t size = input.shape()[axis];
      shape.append(size < 0 ? 2 : std::min<int64_t>(size, 64));
    }
    TENON_ASSIGN_OR_RETURN(Tensor zeros, Tensor::allocate(input.dtype(), shape));
    std::memset(zeros.mutable_raw(), 0, zeros.num_bytes());
    x.push_back(std::move(zeros));
  }
  TENON_RETURN_IF_ERROR((*model)->predict(x).status());
  if (!(*model)->compiled()) return absl::OkStatus();
  return (*model)->train_on_batch(x, Tensor::vector<int64_t>({0})).status();
}

// `known` is a text that means something somewhere.
std::vector<Json> hostile_values(const char* known) {
  return {nullptr,
          true,
          -1,
          0,
          3,
          int64_t{1} << 40,
          1e300,
          "x",
          known,
          Json(Json::Array()),
          Json(Json::Array{1, 2}),
          Json::object()};
}

// Of so many places one has its turn: a model takes ten times as long under the sanitizers.
constexpr int64_t kEveryPlace = TENON_SANITIZED ? 4 : 1;

TEST_F(HostileFile, AnyValueInAnyPlaceIsRefusedOrRuns) {
  const std::vector<Json> values = hostile_values("relu");
  for (const char* file : {"dense_adam.keras"}) {
    const auto zip = ZipReader::open(testdata(file));
    ASSERT_TRUE(zip.ok()) << zip.status();
    const StatusOr<Json> json = Json::parse(*(*zip)->read("config.json"));
    ASSERT_TRUE(json.ok()) << json.status();
    ASSERT_EQ(use_model(*json), absl::OkStatus());
    int64_t count = 0;
    with_value(*json, count, -1, Json());
    for (int64_t target = 0; target < count; target += kEveryPlace) {
      for (const Json& value : values) {
        int64_t at = 0;
        const Status status = use_model(with_value(*json, at, target, value));
        EXPECT_NE(status.code(), absl::StatusCode::kInternal)
            << file << ", value " << target << " as " << value.dump() << ": " << status;
      }
    }
  }
}

// The same of layers within layers, masks, states and shared layers, at a sample of places.
TEST_F(HostileFile, AnyValueInSomePlacesOfOtherModelsIsRefusedOrRuns) {
  const std::vector<Json> values = hostile_values("concat");
  const Json cases = testdata_json("layer_cases.json");
  for (const char* name :
       {"lstm_masked", "lstm_states", "rnn_stacked", "bidirectional_none", "attention_scores",
        "time_distributed", "nested", "shared", "by_name", "operations"}) {
    const Json& json = cases[name];
    ASSERT_TRUE(json.is_object()) << name;
    ASSERT_EQ(use_model(json), absl::OkStatus()) << name;
    int64_t count = 0;
    with_value(json, count, -1, Json());
    for (int64_t target = 0; target < count; target += 3 * kEveryPlace) {
      const Json& value =
          values[static_cast<size_t>(target / (3 * kEveryPlace)) % std::size(values)];
      int64_t at = 0;
      const Status status = use_model(with_value(json, at, target, value));
      EXPECT_NE(status.code(), absl::StatusCode::kInternal)
          << name << ", value " << target << " as " << value.dump() << ": " << status;
    }
  }
}

// The same of preprocessing layers and slices (tests/keras/make_preprocessing_cases.py).
TEST_F(HostileFile, AnyValueInAnyPlaceOfPreprocessingIsRefusedOrRuns) {
  std::vector<Json> values = hostile_values("count");
  values.push_back(std::numeric_limits<int64_t>::max());
  values.push_back(std::numeric_limits<int64_t>::min());
  const Json cases = testdata_json("preprocessing.json");
  for (const char* name : {"texts", "numbers", "slices"}) {
    const Json& json = cases[name];
    ASSERT_TRUE(json.is_object()) << name;
    ASSERT_EQ(use_model(json), absl::OkStatus()) << name;
    int64_t count = 0;
    with_value(json, count, -1, Json());
    for (int64_t target = 0; target < count; target += kEveryPlace) {
      const Json& value = values[static_cast<size_t>(target / kEveryPlace) % std::size(values)];
      int64_t at = 0;
      const Status status = use_model(with_value(json, at, target, value));
      EXPECT_NE(status.code(), absl::StatusCode::kInternal)
          << name << ", value " << target << " as " << value.dump() << ": " << status;
    }
  }
}

// A model that calls the one within it twice, which does the same, and so on.
TEST(HostileModel, ModelsWithinModelsDoNotMultiply) {
  const auto text = [](int depth, const std::string& inner) {
    const std::string name = cat("m", depth);
    const std::string tensor = R"({"class_name": "__keras_tensor__", "config": {"keras_history": )";
    return cat(R"({"module": "keras.src.models.functional", "class_name": "Functional", "config":
        {"name": ")",
               name, R"(", "trainable": true, "layers": [{"class_name": "InputLayer",
        "config": {"batch_shape": [null, 2], "dtype": "float32", "name": "x"}, "name": "x",
        "inbound_nodes": []}, )",
               inner, R"(], "input_layers": ["x", 0, 0], "output_layers": ["inner", )",
               depth == 0 ? 1 : 2, R"(, 0]}, "name": "inner", "inbound_nodes": [{"args": [)",
               tensor, R"(["x", 0, 0]}}], "kwargs": {}},
        {"args": [)",
               tensor, R"(["inner", 0, 0]}}], "kwargs": {}}]})");
  };
  std::string json = R"({"class_name": "Activation", "config": {"activation": "relu"}, "name":
      "inner", "inbound_nodes": [{"args": [{"class_name": "__keras_tensor__", "config":
      {"keras_history": ["x", 0, 0]}}], "kwargs": {}}, {"args": [{"class_name":
      "__keras_tensor__", "config": {"keras_history": ["inner", 0, 0]}}], "kwargs": {}}]})";
  for (int depth = 0; depth < 30; ++depth) json = text(depth, json);
  const StatusOr<Json> parsed = Json::parse(json);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const Status status = Model::from_json(*parsed).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_NE(message_of(status).find("layer calls"), std::string_view::npos) << status;
}

TEST(HostileModel, WhatDoesNotFitTogetherIsRefusedByLayer) {
  const KTensor x = Input({5, 3}), y = Input({5, 4}),
                mask = Input({.shape = {7}, .dtype = DType::kBool});
  const LayerRef lstm = LSTM({.units = 4, .name = "memory"});
  const LayerRef shared = Dense({.units = 2, .name = "both"});
  EXPECT_EQ(shared(x).status(), absl::OkStatus());
  const std::pair<KTensor, const char*> refused[] = {
      {shared(y), "both"},
      {lstm.call({{.name = "sequences", .tensors = {x}}, {.name = "mask", .tensors = {mask}}}),
       "mask"},
      {lstm.call(
           {{.name = "sequences", .tensors = {x}}, {.name = "initial_state", .tensors = {y, y}}}),
       "initial_state"},
      {LSTM({.units = 0})(x), "units"},
      {LSTM({.units = 3, .dropout = 2})(x), "dropout"},
      {LSTM({.units = 3, .stateful = true})(x), "stateful"},
      {GRU({.units = 3})(Input({3})), "3 dimensions"},
      {Bidirectional(lstm, "both")(x), "merge_mode"},
      {Bidirectional(shared)(x), "both"},
      {MultiHeadAttention({.num_heads = -1, .key_dim = 3})({x, y}), "num_heads"},
      {MultiHeadAttention({.num_heads = 2, .key_dim = 3})(x), "value"},
      {EinsumDense({.equation = "abc"})(x), "equation"},
      {TimeDistributed(shared)(Input({3})), "3 dimensions"},
      {lstm(x).output(1), "output"},
  };
  for (const auto& [tensor, part] : refused) {
    EXPECT_FALSE(tensor.status().ok()) << part;
    EXPECT_NE(tensor.status().code(), absl::StatusCode::kInternal) << tensor.status();
    EXPECT_NE(message_of(tensor.status()).find(part), std::string_view::npos) << tensor.status();
  }
}

// Members are looked up by name and never written anywhere.
TEST_F(HostileFile, MembersWithPathsOutsideAreNotTouched) {
  for (const char* name : {"../escaped", "/tmp/tenon_escaped", "a/../../escaped", ""}) {
    members_.emplace_back(name, "x");
  }
  write();
  const Status status = load();
  EXPECT_NE(status.code(), absl::StatusCode::kInternal) << status;
  EXPECT_FALSE(path_exists("/tmp/tenon_escaped"));
  EXPECT_FALSE(path_exists(join_path(folder_->path(), "../escaped")));
}

}  // namespace
}  // namespace tenon::keras
