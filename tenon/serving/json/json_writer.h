// JsonWriter: JSON text laid out as RapidJSON 1.1's PrettyWriter does, with 4 spaces a level.
//
// Lists are written one element a line, or on one line while set_single_line(true) holds (RapidJSON
// decides this element by element, and so do we). Calls must nest properly.
#pragma once

#include <absl/container/inlined_vector.h>

#include <string>
#include <string_view>

#include "tenon/serving/json/json_number.h"

namespace tenon::serving {

class JsonWriter {
 public:
  void reserve(size_t bytes) { out_.reserve(bytes); }
  void set_single_line(bool on) { single_line_ = on; }

  void start_object() { open('{', false); }
  void end_object() { close('}', true); }
  void start_array() { open('[', true); }
  void end_array() { close(']', !single_line_); }

  void key(std::string_view name) { string(name); }
  void string(std::string_view text);

  template <class T>
  void number(T value) {
    prefix();
    if constexpr (std::is_floating_point_v<T>) {
      append_json_number(out_, value);
    } else {
      strings_internal::append(out_, value);  // bool: true, false
    }
  }

  std::string take() && { return std::move(out_); }

 private:
  struct Level {
    bool is_array;
    size_t count = 0;  // elements, or keys and values
  };

  // What stands before the next value: comma, colon, line break.
  void prefix() {
    if (levels_.empty()) return;
    Level& level = levels_.back();
    if (level.is_array && single_line_) {
      if (level.count++ > 0) out_ += ", ";
      return;
    }
    prefix_on_new_line(level);
  }
  void prefix_on_new_line(Level& level);
  void open(char bracket, bool is_array) {
    prefix();
    levels_.push_back({is_array});
    out_ += bracket;
  }
  void close(char bracket, bool on_new_line);
  void new_line() {
    out_ += '\n';
    out_.append(4 * levels_.size(), ' ');
  }

  std::string out_;
  absl::InlinedVector<Level, 8> levels_;
  bool single_line_ = false;
};

}  // namespace tenon::serving
