// Numbers in JSON text, both ways.
#pragma once

#include <string>

#include "tenon/serving/json/json_document.h"

namespace tenon::serving {

// Why a number could not be read, and where: `message` is null when it could.
struct JsonNumberResult {
  const char* end;      // past the number, or where the error is reported
  const char* message;  // RapidJSON's text
};

// Reads the number (NaN and Infinity included) at `begin` into `node`.
JsonNumberResult read_json_number(const char* begin, const char* end, JsonNode& node);

// Appends the shortest of TensorFlow Serving's forms: 6 significant digits if they read back as the
// same value, else 9 (17 for double); ".0" after whole numbers; NaN, Infinity, -Infinity bare.
void append_json_number(std::string& out, float value);
void append_json_number(std::string& out, double value);

}  // namespace tenon::serving
