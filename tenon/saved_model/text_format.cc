#include "tenon/saved_model/text_format.h"

#include <atomic>

namespace tenon {
namespace {

std::atomic<TextFormatReader> text_format_reader{nullptr};

}  // namespace

void set_text_format_reader(TextFormatReader reader) { text_format_reader = reader; }

StatusOr<std::string> wire_of_text(TextMessage message, const std::string& text) {
  const TextFormatReader reader = text_format_reader;
  if (!reader) return unimplemented("this program does not read protobuf's text format (.pbtxt)");
  return reader(message, text);
}

}  // namespace tenon
