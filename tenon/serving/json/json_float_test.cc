// Outside truth: the C library's printf and strtof, composed as TensorFlow Serving's WriteDecimal.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <random>

#include "tenon/serving/json/json_number.h"

namespace tenon::serving {
namespace {

template <class T>
std::string want(T value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  char text[40];
  std::snprintf(text, sizeof(text), "%g", static_cast<double>(value));
  const bool is_float = sizeof(T) == 4;
  const T back = is_float ? static_cast<T>(std::strtof(text, nullptr))
                          : static_cast<T>(std::strtod(text, nullptr));
  if (back != value) {
    std::snprintf(text, sizeof(text), is_float ? "%.9g" : "%.17g", static_cast<double>(value));
  }
  std::string out = text;
  if (out.find_first_of(".e") == std::string::npos) out += ".0";
  return out;
}

template <class T>
std::string printed(T value) {
  std::string out;
  append_json_number(out, value);
  return out;
}

TEST(JsonFloatTest, TensorFlowServingsExamples) {
  const std::pair<float, const char*> cases[] = {{9000000, "9e+06"},
                                                 {999999, "999999.0"},
                                                 {0.5, "0.5"},
                                                 {0.0003F, "0.0003"},
                                                 {0.00003F, "3e-05"},
                                                 {555557.5, "555557.5"},
                                                 {1435774380.F, "1.43577434e+09"},
                                                 {0.1F, "0.1"},
                                                 {-0.0F, "-0.0"},
                                                 {100000, "100000.0"},
                                                 {1000000, "1e+06"},
                                                 {3, "3.0"},
                                                 {5.003F, "5.003"},
                                                 {0.007F, "0.007"},
                                                 {INFINITY, "Infinity"},
                                                 {-INFINITY, "-Infinity"},
                                                 {NAN, "NaN"}};
  for (const auto& [value, text] : cases) EXPECT_EQ(printed(value), text);
  EXPECT_EQ(printed(0.662), "0.662");
}

TEST(JsonFloatTest, EveryFloatPrintsAsPrintfWould) {
  std::mt19937 random(5);
  for (int i = 0; i < 400000; ++i) {
    uint32_t bits = random();
    if (i % 2) bits = (bits & 0x807FFFFF) | (100 + bits % 60) << 23;  // magnitudes of models
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    ASSERT_EQ(printed(value), want(value)) << bits;
  }
  for (int i = -100000; i < 100000; ++i) {
    const float value = static_cast<float>(i) / 1000;
    ASSERT_EQ(printed(value), want(value));
  }
}

TEST(JsonFloatTest, PowersOfTenAndTheirNeighbours) {
  for (int exponent = -44; exponent <= 38; ++exponent) {
    const auto power = static_cast<float>(std::pow(10.0, exponent));
    for (const float value : {std::nextafter(power, 0.0F), power, std::nextafter(power, 1e38F),
                              power * 9.9999995F, power * 0.9999995F, power * 1.0000005F}) {
      EXPECT_EQ(printed(value), want(value));
      EXPECT_EQ(printed(-value), want(-value));
    }
  }
}

TEST(JsonFloatTest, DoublesPrintAsPrintfWould) {
  std::mt19937_64 random(9);
  for (int i = 0; i < 20000; ++i) {
    const uint64_t bits = random();
    double value;
    std::memcpy(&value, &bits, sizeof(value));
    ASSERT_EQ(printed(value), want(value));
    ASSERT_EQ(printed(static_cast<double>(i) / 64), want(static_cast<double>(i) / 64));
  }
}

}  // namespace
}  // namespace tenon::serving
