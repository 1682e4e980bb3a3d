// What the tests of keras/ read of testdata/ (tools/make_keras_fixtures.py).
#pragma once

#include <gtest/gtest.h>

#include "tenon/base/files.h"
#include "tenon/keras/json.h"

namespace tenon::keras {

inline std::string testdata(std::string_view name) {
  return join_path(TENON_SOURCE_DIR "/tenon/keras/testdata", name);
}

inline std::string testdata_text(std::string_view name) {
  StatusOr<std::string> text = read_file(testdata(name));
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? *text : "";
}

inline Json testdata_json(std::string_view name) {
  StatusOr<Json> json = Json::parse(testdata_text(name));
  EXPECT_TRUE(json.ok()) << json.status();
  return json.ok() ? *json : Json();
}

inline std::vector<float> floats_of(const Json& json) {
  std::vector<float> values;
  for (const Json& item : *json.items()) values.push_back(static_cast<float>(*item.number()));
  return values;
}

}  // namespace tenon::keras
