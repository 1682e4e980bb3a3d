// Outside truth: RapidJSON 1.1 itself, run with TensorFlow Serving's flags on the same text.
#include "tenon/serving/json/json_document.h"

#include <gtest/gtest.h>

#include <random>

// RapidJSON adds offsets to null pointers, which clang's sanitizer of undefined behaviour reports.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((no_sanitize("pointer-overflow"))), apply_to = function)
#endif
#include <rapidjson/document.h>
#include <rapidjson/encodedstream.h>
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#if defined(__clang__)
#pragma clang attribute pop
#endif

namespace tenon::serving {
namespace {

constexpr unsigned kServingFlags = rapidjson::kParseIterativeFlag | rapidjson::kParseNanAndInfFlag |
                                   rapidjson::kParseStopWhenDoneFlag;

// "" when RapidJSON accepts `text`, else TensorFlow Serving's message.
std::string rapidjson_error(std::string_view text, rapidjson::Document& document) {
  rapidjson::MemoryStream memory(text.data(), text.size());
  rapidjson::EncodedInputStream<rapidjson::UTF8<>, rapidjson::MemoryStream> stream(memory);
  document.ParseStream<kServingFlags>(stream);
  if (!document.HasParseError()) return "";
  return cat("JSON Parse error: ", rapidjson::GetParseError_En(document.GetParseError()),
             " at offset: ", document.GetErrorOffset());
}

void expect_same_number(const JsonNode& got, const rapidjson::Value& want, std::string_view text) {
  EXPECT_EQ(got.kind == JsonKind::kDouble, want.IsDouble()) << text;
  if (want.IsUint64()) {
    EXPECT_EQ(got.kind, JsonKind::kUnsigned) << text;
    EXPECT_EQ(got.u, want.GetUint64()) << text;
  } else if (want.IsInt64()) {
    EXPECT_EQ(got.kind, JsonKind::kNegative) << text;
    EXPECT_EQ(got.i, want.GetInt64()) << text;
  } else if (std::isnan(want.GetDouble())) {
    EXPECT_TRUE(std::isnan(got.d)) << text;
  } else if (std::isfinite(want.GetDouble())) {
    // RapidJSON's quick way of scaling is off by some units in the last place.
    EXPECT_NEAR(got.d, want.GetDouble(), 1e-13 * std::fabs(want.GetDouble())) << text;
  } else {
    EXPECT_EQ(got.d, want.GetDouble()) << text;
  }
}

void expect_same_value(const JsonNode& got, const rapidjson::Value& want, std::string_view text) {
  switch (want.GetType()) {
    case rapidjson::kNumberType:
      ASSERT_TRUE(got.is_number()) << text;
      return expect_same_number(got, want, text);
    case rapidjson::kStringType:
      ASSERT_TRUE(got.is_string()) << text;
      EXPECT_EQ(got.string(), std::string_view(want.GetString(), want.GetStringLength())) << text;
      return;
    case rapidjson::kArrayType: {
      ASSERT_TRUE(got.is_array()) << text;
      ASSERT_EQ(got.size, want.Size()) << text;
      const JsonNode* element = got.first();
      for (const auto& value : want.GetArray()) {
        expect_same_value(*element, value, text);
        element = element->next();
      }
      return;
    }
    case rapidjson::kObjectType: {
      ASSERT_TRUE(got.is_object()) << text;
      ASSERT_EQ(got.size, want.MemberCount()) << text;
      const JsonNode* key = got.first();
      for (const auto& member : want.GetObject()) {
        expect_same_value(*key, member.name, text);
        expect_same_value(key[1], member.value, text);
        key = key[1].next();
      }
      return;
    }
    default:
      EXPECT_EQ(static_cast<int>(got.kind), static_cast<int>(want.GetType())) << text;
  }
}

void expect_as_rapidjson(std::string_view text) {
  rapidjson::Document want;
  const std::string error = rapidjson_error(text, want);
  const StatusOr<JsonDocument> got = JsonDocument::parse(text);
  if (!error.empty()) {
    ASSERT_FALSE(got.ok()) << text;
    EXPECT_EQ(message_of(got.status()), error) << text;
    return;
  }
  ASSERT_TRUE(got.ok()) << text << ": " << got.status();
  expect_same_value(got->root(), want, text);
}

TEST(JsonDocumentTest, AcceptsAndRejectsWhatRapidJsonDoes) {
  for (const std::string_view text : {" ",
                                      "{",
                                      "}",
                                      "[",
                                      "]",
                                      "[]",
                                      "{}",
                                      "[1,]",
                                      "[,1]",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":1,}",
                                      "{a:1}",
                                      "{\"a\":1 \"b\":2}",
                                      "[1 2]",
                                      "[[1],[2]]x",
                                      "{} trailing",
                                      "\"s\"",
                                      "nul",
                                      "null",
                                      "nulll",
                                      "tru",
                                      "true",
                                      "fals",
                                      "false",
                                      "[truefalse]",
                                      "\xEF\xBB\xBF[1]",
                                      "\xEF\xBB[1]",
                                      "instances = [1, 2]",
                                      "{\"instances\": [1.0, 2.0",
                                      "[1,[2,[3,{\"k\":[4,{}]}]]]",
                                      "{\"a\":1,\"a\":2}",
                                      "[\"a\\\"b\\\\c\\n\\u00e9\\ud83d\\ude00\"]",
                                      "[\"\\ud83d\"]",
                                      "[\"\\ud83dx\"]",
                                      "[\"\\ud83d\\u0041\"]",
                                      "[\"\\udc00\"]",
                                      "[\"\\u12g4\"]",
                                      "[\"\\q\"]",
                                      "[\"\\",
                                      "[\"abc",
                                      "[\"a\nb\"]",
                                      "[\"\x80\xff\"]",
                                      "[\"\\u0000\"]",
                                      "\t\r\n [1]",
                                      ":",
                                      ","}) {
    expect_as_rapidjson(text);
  }
  expect_as_rapidjson(std::string_view("[1\0,2]", 7));
  expect_as_rapidjson(std::string_view("{\"a\0\":1}", 8));
}

TEST(JsonDocumentTest, ReadsNumbersAsRapidJsonDoes) {
  for (const std::string_view number : {"0",
                                        "-0",
                                        "-0.0",
                                        "00",
                                        "01",
                                        "-",
                                        "+1",
                                        ".5",
                                        "1.",
                                        "1.e5",
                                        "1e",
                                        "1e+",
                                        "1E5",
                                        "1e-5",
                                        "1.5e3",
                                        "2147483647",
                                        "2147483648",
                                        "-2147483648",
                                        "-2147483649",
                                        "4294967295",
                                        "4294967296",
                                        "9223372036854775807",
                                        "9223372036854775808",
                                        "-9223372036854775808",
                                        "-9223372036854775809",
                                        "18446744073709551615",
                                        "18446744073709551616",
                                        "184467440737095516150",
                                        "123456789012345678901234567890",
                                        "0.1",
                                        "0.30000001192092896",
                                        "3.4028234663852886e38",
                                        "1e308",
                                        "1e309",
                                        "1e400",
                                        "-1e400",
                                        "0e400",
                                        "10e308",
                                        "1e-400",
                                        "1e-99999999999999999999",
                                        "1.7976931348623157e308",
                                        "4.9e-324",
                                        "NaN",
                                        "Inf",
                                        "-Inf",
                                        "Infinity",
                                        "-Infinity",
                                        "-NaN",
                                        "Infinit",
                                        "Infx",
                                        "NInf",
                                        "Nan",
                                        "I",
                                        "N",
                                        "0x10",
                                        "1a",
                                        "0.000000000000000000000000000001",
                                        "123456.789e-3"}) {
    expect_as_rapidjson(number);
    expect_as_rapidjson(cat("[", number, "]"));
    expect_as_rapidjson(cat("{\"x\": ", number, " , \"y\":1}"));
  }
  expect_as_rapidjson(std::string(308, '9'));
  expect_as_rapidjson(std::string(310, '9'));
  expect_as_rapidjson(cat("1", std::string(400, '0'), ".5e-300"));
}

// RapidJSON reads a fraction or exponent after NaN and Infinity; we do not.
bool has_word_with_digits(std::string_view text) {
  for (const std::string_view word : {"NaN", "Inf", "Infinity"}) {
    for (const char c : {'.', 'e', 'E'}) {
      if (text.find(cat(word, c)) != std::string_view::npos) return true;
    }
  }
  return false;
}

TEST(JsonDocumentTest, MutatedTextsGiveRapidJsonsAnswers) {
  const std::string seed =
      "{\"signature_name\": \"s\\u00e9\", \"instances\": [[1.5, -2e3, 12345678901], {\"b64\": "
      "\"aGVsbG8=\"}, [true, false, null, NaN, -Infinity]], \"x\": {}}";
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    std::string text = seed;
    for (int edit = 0; edit < 1 + round % 3 && !text.empty(); ++edit) {
      const size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = "[]{}:,\"\\0e.-NIt \n\x01\xC3"[random() % 19];
          break;
        case 1:
          text.erase(at, 1 + random() % 4);
          break;
        default:
          text.resize(at + 1);
      }
    }
    if (!text.empty() && !has_word_with_digits(text)) expect_as_rapidjson(text);
  }
}

TEST(JsonDocumentTest, EmptyTextHasItsOwnMessage) {
  EXPECT_EQ(message_of(JsonDocument::parse("").status()),
            "JSON Parse error: The document is empty");
}

TEST(JsonDocumentTest, NumbersAreCorrectlyRounded) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 20000; ++i) {
    const double magnitude = std::pow(10.0, static_cast<double>(random() % 60) - 30);
    char text[40];
    std::snprintf(text, sizeof(text), i % 2 ? "%.17g" : "%.9e",
                  static_cast<double>(random() % 1000000007) * magnitude);
    const auto document = JsonDocument::parse(text);
    ASSERT_TRUE(document.ok()) << text;
    EXPECT_EQ(document->root().number(), std::strtod(text, nullptr)) << text;
  }
}

TEST(JsonDocumentTest, DeepNestingIsAnErrorNotACrash) {
  const std::string open(20'000'000, '[');
  EXPECT_EQ(JsonDocument::parse(open).status().code(), absl::StatusCode::kInvalidArgument);
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  EXPECT_FALSE(JsonDocument::parse(objects).ok());
  const std::string depth(JsonDocument::kMaxDepth, '[');
  const std::string closed = cat(depth, std::string(JsonDocument::kMaxDepth, ']'));
  const auto document = JsonDocument::parse(closed);
  ASSERT_TRUE(document.ok());
  EXPECT_LT(to_string(document->root()).size(), 300u);
}

TEST(JsonDocumentTest, PrintsOnOneLineAndCutsLongValues) {
  const auto print = [](std::string_view text) {
    return to_string(JsonDocument::parse(text)->root());
  };
  EXPECT_EQ(print(" { \"a\" : [ 1 , -2.5 , \"x\\n\" ] , \"b\" : { } , \"c\":[] } "),
            "{\"a\":[1,-2.5,\"x\\n\"],\"b\":{},\"c\":[]}");
  EXPECT_EQ(print("[null,true,[false,[]]]"), "[null,true,[false,[]]]");
  EXPECT_EQ(print("NaN"), "NaN");
  EXPECT_LT(print(cat("[\"", std::string(100000, 'x'), "\"]")).size(), 600u);
}

}  // namespace
}  // namespace tenon::serving
