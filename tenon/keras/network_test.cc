#include "tenon/keras/network.h"

#include <numeric>

#include "tenon/keras/model.h"
#include "tenon/keras/reference_test.h"

namespace tenon::keras {
namespace {

std::unique_ptr<Model> model_of(std::string_view name) {
  StatusOr<std::unique_ptr<Model>> model = Model::from_json(testdata_json(name));
  EXPECT_TRUE(model.ok()) << model.status();
  return model.ok() ? *std::move(model) : nullptr;
}

TEST(LayerConfig, SurvivesReadingAndWriting) {
  const Json layers = testdata_json("layers.json");
  for (const Json& json : *layers.items()) {
    const StatusOr<std::shared_ptr<Layer>> layer = layer_from_json(json);
    ASSERT_TRUE(layer.ok()) << layer.status();
    EXPECT_EQ((*layer)->describe(), json) << (*layer)->describe().dump();
  }
}

TEST(OptimizerConfig, SurvivesReadingAndWriting) {
  const Json optimizers = testdata_json("optimizers.json");
  for (const Json& json : *optimizers.items()) {
    const StatusOr<OptimizerPtr> optimizer = optimizer_from_json(json);
    ASSERT_TRUE(optimizer.ok()) << optimizer.status();
    // Names are counted over the whole process in Keras.
    Json described = (*optimizer)->describe(), expected = json;
    Json config = expected["config"];
    config.set("name", described["config"]["name"]);
    expected.set("config", config);
    EXPECT_EQ(described, expected);
  }
}

// Keras' constructors refuse these too, but the negative rate.
TEST(OptimizerConfig, RatesAndSchedulesAreChecked) {
  for (
      const char* rate :
      {"-0.1", R"({"class_name": "ExponentialDecay", "config": {"initial_learning_rate": 0.1}})",
       R"({"class_name": "CosineDecay", "config": {"initial_learning_rate": 1, "decay_steps": 0}})",
       R"({"class_name": "PiecewiseConstantDecay", "config": {"boundaries": [1], "values": [1]}})"}) {
    const StatusOr<Json> json =
        Json::parse(cat(R"({"class_name": "SGD", "config": {"learning_rate": )", rate, "}}"));
    ASSERT_TRUE(json.ok()) << json.status();
    EXPECT_EQ(optimizer_from_json(*json).status().code(), absl::StatusCode::kInvalidArgument)
        << rate;
  }
}

TEST(ModelConfig, SurvivesReadingAndWriting) {
  for (const char* name : {"dense.model.json", "conv.model.json"}) {
    const std::unique_ptr<Model> model = model_of(name);
    ASSERT_TRUE(model);
    const Json expected = testdata_json(name);
    EXPECT_EQ(model->to_json()["config"].dump(), expected["config"].dump());
    EXPECT_EQ(model->to_json()["module"], expected["module"]);
    EXPECT_EQ(model->to_json()["build_config"], expected["build_config"]);
  }
}

TEST(Summary, IsTheTableThatKerasPrints) {
  for (const char* kind : {"dense", "conv"}) {
    const std::unique_ptr<Model> model = model_of(cat(kind, ".model.json"));
    ASSERT_TRUE(model);
    EXPECT_EQ(model->summary(80), testdata_text(cat(kind, ".summary.txt")));
  }
}

// What keras.layers.X.from_config() takes and gives, Keras 3.15.
TEST(LayerConfig, SizesAreOneForEachAxisOrOneForAll) {
  const auto layer_of = [](std::string_view class_name, std::string_view config) {
    return layer_from_json(*Json::parse(cat("{\"class_name\": \"", class_name, "\", \"module\": ",
                                            "\"keras.layers\", \"config\": ", config, "}")));
  };
  const auto sizes_of = [&](std::string_view class_name, std::string_view config,
                            std::string_view option) {
    const auto layer = layer_of(class_name, config);
    EXPECT_TRUE(layer.ok()) << layer.status();
    return layer.ok() ? (*layer)->describe()["config"][option].dump() : "";
  };
  EXPECT_EQ(sizes_of("Conv1D", R"({"filters": 1, "kernel_size": 3})", "kernel_size"), "[3]");
  EXPECT_EQ(sizes_of("Conv2D", R"({"filters": 1, "kernel_size": 3})", "kernel_size"), "[3, 3]");
  EXPECT_EQ(sizes_of("Conv3D", R"({"filters": 1, "kernel_size": 3})", "kernel_size"), "[3, 3, 3]");
  EXPECT_EQ(sizes_of("Conv3DTranspose", R"({"filters": 1, "kernel_size": 2})", "kernel_size"),
            "[2, 2, 2]");
  EXPECT_EQ(sizes_of("MaxPooling1D", R"({"pool_size": 3})", "strides"), "[3]");
  EXPECT_EQ(sizes_of("MaxPooling2D", R"({"pool_size": [2, 3]})", "strides"), "[2, 3]");
  EXPECT_EQ(sizes_of("MaxPooling2D", R"({"strides": null})", "strides"), "[2, 2]");
  EXPECT_EQ(sizes_of("AveragePooling3D", R"({"pool_size": [1, 2, 3]})", "strides"), "[1, 2, 3]");
  for (const auto& [class_name, config] :
       std::initializer_list<std::pair<const char*, const char*>>{
           {"Conv1D", R"({"filters": 1, "kernel_size": [3, 3]})"},
           {"Conv1D", R"({"filters": 1, "kernel_size": "3"})"},
           {"Conv2D", R"({"filters": 1, "kernel_size": [3]})"},
           {"Conv2D", R"({"filters": 1, "kernel_size": [3, 3, 3]})"},
           {"Conv3D", R"({"filters": 1, "kernel_size": [3, 3]})"},
           {"MaxPooling1D", R"({"pool_size": [2, 2]})"},
           {"MaxPooling2D", R"({"pool_size": [2]})"},
           {"MaxPooling2D", R"({"strides": [1]})"},
           {"AveragePooling3D", R"({"pool_size": [2, 2]})"}}) {
    EXPECT_EQ(layer_of(class_name, config).status().code(), absl::StatusCode::kInvalidArgument)
        << class_name << config;
  }
}

TEST(Network, NamesAndOrderAreThoseOfKeras) {
  KTensor image = Input({.shape = {8, 8, 3}, .name = "image"});
  KTensor extra = Input({.shape = {4}, .name = "extra"});
  KTensor x = Conv2D({.filters = 4, .kernel_size = {3, 3}, .padding = "same"})(image);
  KTensor y = ReLU()(BatchNormalization()(x));
  x = ZeroPadding2D()(MaxPooling2D()(Add()({x, y})));
  x = DepthwiseConv2D({.strides = {2, 2}, .activation = "tanh"})(x);
  x = GlobalAveragePooling2D()(BatchNormalization()(x));
  x = Concatenate()({x, LayerNormalization()(extra)});
  Model model({image, extra}, {Dense({.units = 4})(x)});
  ASSERT_TRUE(model.status().ok()) << model.status();
  const Json expected = testdata_json("conv.model.json")["config"];
  const Json config = model.to_json()["config"];
  ASSERT_EQ(config["layers"].items()->size(), expected["layers"].items()->size());
  for (size_t i = 0; i < config["layers"].items()->size(); ++i) {
    EXPECT_EQ((*config["layers"].items())[i]["name"], (*expected["layers"].items())[i]["name"]);
    EXPECT_EQ((*config["layers"].items())[i]["inbound_nodes"],
              (*expected["layers"].items())[i]["inbound_nodes"]);
  }
}

TEST(Network, UnknownLayerClassIsUnimplementedAndNamed) {
  Json json = testdata_json("dense.model.json");
  Json config = json["config"];
  Json layers = config["layers"];
  Json layer = (*layers.items())[1];
  layer.set("class_name", "MaxNumBoundingBoxes");
  layers.push(layer);
  config.set("layers", layers);
  json.set("config", config);
  const Status status = Model::from_json(json).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_NE(message_of(status).find("'MaxNumBoundingBoxes'"), std::string::npos) << status;
  EXPECT_NE(message_of(status).find("BatchNormalization"), std::string::npos) << status;
}

TEST(Network, BrokenFunctionalConfigsAreErrors) {
  const Json good = testdata_json("conv.model.json");
  const auto with = [&](std::string_view member, Json value) {
    Json json = good, config = good["config"];
    config.set(member, std::move(value));
    json.set("config", config);
    return Model::from_json(json).status();
  };
  EXPECT_FALSE(with("layers", Json(Json::Array())).ok());
  EXPECT_FALSE(with("layers", 3).ok());
  EXPECT_FALSE(with("output_layers", Json(Json::Array{"nowhere", 0, 0})).ok());
  EXPECT_FALSE(with("output_layers", Json(Json::Array{"dense", 7, 0})).ok());
  EXPECT_FALSE(with("input_layers", Json(Json::Array{"dense", 0, 0})).ok());
  // A layer that waits for itself.
  Json layers = good["config"]["layers"];
  Json layer = (*layers.items())[1];
  const Json history = Json(Json::Array{layer["name"], 0, 0});
  layer.set("inbound_nodes", Json(Json::Array{Json(Json::Array{history})}));
  Json changed{Json::Array()};
  for (const Json& each : *layers.items())
    changed.push(each["name"] == layer["name"] ? layer : each);
  EXPECT_FALSE(with("layers", changed).ok());
}

// Keras: moving = moving * momentum + mean * (1 - momentum), once for each call; the second one's
// input has mean 0. The loop below must not make the first call's assignment late.
TEST(Layers, EachCallMovesTheAveragesThatTheOneBeforeLeft) {
  KTensor x = Input({3, 1});
  const KTensor y = GRU({.units = 1, .return_sequences = true})(x);
  const LayerRef norm = BatchNormalization({.momentum = 0.5});
  Model before({x}, {y});
  Model model({x}, {norm(norm(y))});
  ASSERT_TRUE(model.compile({.optimizer = SGD({.learning_rate = 0.0}), .loss = "mse"}).ok());
  const Tensor rows =
      Tensor::from<float>(Shape{2, 3, 1}, std::vector<float>{1, -2, 3, 0.5f, 4, 0.25f});
  const auto states = before.predict(rows);
  ASSERT_TRUE(states.ok()) << states.status();
  const std::span<const float> values = (*states)[0].span<float>();
  const float mean = std::accumulate(values.begin(), values.end(), 0.0f) / 6;
  ASSERT_TRUE(model.train_on_batch(rows, rows).ok());
  const auto moved = norm->weights()[2].variable->read();
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_NEAR(*moved->data<float>(), 0.25f * mean, 1e-6);
  EXPECT_GT(std::abs(mean), 0.01f);
}

TEST(Layers, ImpossibleShapesAreErrors) {
  KTensor x = Input({4});
  EXPECT_FALSE(Conv2D({.filters = 3})(x).status().ok());
  EXPECT_FALSE(Reshape({3})(x).status().ok());
  constexpr int64_t kWide = int64_t{1} << 32;  // its square is 0 where it wraps
  EXPECT_FALSE(Reshape({4, kWide, kWide})(x).status().ok());
  EXPECT_FALSE(Reshape({-1, kWide, kWide})(x).status().ok());
  EXPECT_FALSE(Dense({.units = 0})(x).status().ok());
  EXPECT_FALSE(Dense({.units = 3, .activation = "reluu"})(x).status().ok());
  EXPECT_FALSE(Add()({x, Input({5})}).status().ok());
  Sequential model({Input({4}), Conv2D({.filters = 3})});
  EXPECT_EQ(model.compile({.loss = "mse"}).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tenon::keras
