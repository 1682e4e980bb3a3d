#include "tenon/saved_model/other_formats.h"

#include <atomic>

#include "tenon/base/files.h"

namespace tenon {
namespace {

std::atomic<TextFormatReader> text_format_reader{nullptr};
std::atomic<LiteReader> lite_reader{nullptr};

}  // namespace

void set_text_format_reader(TextFormatReader reader) { text_format_reader = reader; }

StatusOr<std::string> wire_of_text(TextMessage message, const std::string& text) {
  const TextFormatReader reader = text_format_reader;
  if (!reader) return unimplemented("this program does not read protobuf's text format (.pbtxt)");
  return reader(message, text);
}

void set_lite_reader(LiteReader reader) { lite_reader = reader; }

StatusOr<std::string> saved_model_of_lite(std::string bytes) {
  const LiteReader reader = lite_reader;
  if (!reader) {
    return unimplemented("this program does not read TensorFlow Lite's models (.tflite)");
  }
  return reader(std::move(bytes));
}

std::string lite_file(const std::string& path) {
  if (path.ends_with(".tflite") && path_exists(path) && !is_directory(path)) return path;
  std::string inside = join_path(path, "model.tflite");
  return path_exists(inside) ? inside : std::string();
}

}  // namespace tenon
