// Networks of many calls: loaded in linear time and freed without a stack.
#include <gtest/gtest.h>

#include <ctime>

#include "tenon/keras/model.h"
#include "tenon/keras/network.h"

namespace tenon::keras {
namespace {

Json reference(std::string_view layer, int64_t call) {
  return Json::object(
      {{"class_name", "__keras_tensor__"},
       {"config", Json::object({{"keras_history", Json(Json::Array{layer, call, 0})}})}});
}

Json node(std::string_view layer, int64_t call) {
  return Json::object(
      {{"args", Json(Json::Array{reference(layer, call)})}, {"kwargs", Json::object()}});
}

Json layer_json(std::string_view class_name, std::string_view name, Json config, Json nodes) {
  config.set("name", name);
  return Json::object({{"class_name", class_name},
                       {"config", std::move(config)},
                       {"name", name},
                       {"inbound_nodes", std::move(nodes)}});
}

Json input_json() {
  return layer_json("InputLayer", "x",
                    Json::object({{"batch_shape", Json(Json::Array{nullptr, 2})}}),
                    Json(Json::Array()));
}

Json model_json(Json::Array layers, std::string_view last, int64_t call) {
  return Json::object(
      {{"class_name", "Functional"},
       {"config", Json::object({{"name", "m"},
                                {"layers", Json(std::move(layers))},
                                {"input_layers", Json(Json::Array{"x", 0, 0})},
                                {"output_layers", Json(Json::Array{last, call, 0})}})}});
}

// A chain of layers, the last of them first in the file.
Json reversed_chain(int64_t length) {
  Json::Array layers;
  for (int64_t i = length; i-- > 0;) {
    const std::string below = i == 0 ? "x" : cat("a", i - 1);
    layers.push_back(layer_json("Activation", cat("a", i), Json::object({{"activation", "linear"}}),
                                Json(Json::Array{node(below, 0)})));
  }
  layers.push_back(input_json());
  return model_json(std::move(layers), cat("a", length - 1), 0);
}

// One layer that is called on its own output again and again.
Json repeated_calls(int64_t length) {
  Json::Array nodes;
  for (int64_t i = 0; i < length; ++i) nodes.push_back(i == 0 ? node("x", 0) : node("a", i - 1));
  Json::Array layers;
  layers.push_back(input_json());
  layers.push_back(layer_json("Activation", "a", Json::object({{"activation", "linear"}}),
                              Json(std::move(nodes))));
  return model_json(std::move(layers), "a", length - 1);
}

double seconds_to_load(const Json& json) {
  const std::clock_t start = std::clock();  // of this process: other processes do not count
  EXPECT_EQ(Model::from_json(json).status(), absl::OkStatus());
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

TEST(LargeNetwork, LoadsInLinearTime) {
  for (Json (*make)(int64_t) : {reversed_chain, repeated_calls}) {
    const int64_t length = TENON_SANITIZED ? 200 : 4000;
    const Json small = make(length), large = make(2 * length);
    double ratio = 100;
    for (int attempt = 0; attempt < 3 && ratio > 3; ++attempt) {
      ratio = std::min(ratio, seconds_to_load(large) / seconds_to_load(small));
    }
    EXPECT_LT(ratio, 3);
  }
}

TEST(LargeNetwork, TooManyCallsAreRefused) {
  const Status status = Model::from_json(repeated_calls(kMaxCalls + 1)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
}

TEST(LargeNetwork, AChainOfCallsIsFreedWithoutAStack) {
  KTensor x = Input({2});
  const LayerRef layer = Activation("linear");
  // Frames are larger under the sanitizers.
  for (int i = 0; i < (TENON_SANITIZED ? 20'000 : 200'000); ++i) x = layer(x);
  EXPECT_EQ(x.status(), absl::OkStatus());
}

TEST(LargeNetwork, CyclesAndReferencesToNothingAreRefused) {
  const auto with_node = [](Json call) {
    Json::Array layers;
    layers.push_back(input_json());
    layers.push_back(layer_json("Activation", "a", Json::object({{"activation", "linear"}}),
                                Json(Json::Array{std::move(call)})));
    return Model::from_json(model_json(std::move(layers), "a", 0)).status();
  };
  EXPECT_EQ(with_node(node("x", 0)), absl::OkStatus());
  for (const Json& call : {node("a", 0), node("a", 7), node("x", 1), node("x", -1), node("b", 0),
                           Json::object(), Json(7), Json(Json::Array())}) {
    EXPECT_EQ(with_node(call).code(), absl::StatusCode::kInvalidArgument) << call.dump();
  }
}

}  // namespace
}  // namespace tenon::keras
