// Any bytes as one of the documents that `tenon image` reads, or as a library whose data it cuts;
// the first byte chooses which.

#include "tenon/image/build/elf_edit.h"
#include "tenon/image/build/icu_data.h"
#include "tenon/image/debian/control.h"
#include "tenon/image/debian/deb.h"
#include "tenon/image/debian/version.h"
#include "tenon/image/lock.h"
#include "tenon/image/oci/model.h"
#include "tenon/image/yaml.h"

namespace {

namespace image = tenon::image;

void stanzas(std::string_view text) {
  image::StringSource source(text);
  const auto visit = [](const image::Stanza& stanza) {
    (void)image::parse_dependencies(stanza.get("Depends"), "amd64").ok();
    return tenon::Status();
  };
  (void)image::for_each_stanza(source, "input", visit).ok();
}

void library(std::string_view text) {
  (void)image::select_icu_items(text, [](std::string_view name) {
    return name.size() % 2 == 0;
  }).ok();
  std::string bytes(text);
  const auto object =
      image::find_elf_object(bytes, [](std::string_view name) { return !name.empty(); });
  if (object.ok()) image::shrink_elf_object(bytes, *object, "");
  if (bytes.size() > text.size()) __builtin_trap();
}

constexpr void (*kReaders[])(std::string_view) = {
    stanzas,
    [](std::string_view text) { (void)image::parse_yaml(text, "input").ok(); },
    [](std::string_view text) { (void)image::parse_declaration(text, "input", ".").ok(); },
    [](std::string_view text) { (void)image::parse_lock(text, "input").ok(); },
    [](std::string_view text) { (void)image::parse_manifest(text, "input").ok(); },
    [](std::string_view text) { (void)image::parse_index(text, "input").ok(); },
    [](std::string_view text) { (void)image::parse_config(text, "input").ok(); },
    [](std::string_view text) { (void)image::fixes_in_changelog(text, "1.0"); },
    library,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  kReaders[data[0] % std::size(kReaders)]({reinterpret_cast<const char*>(data) + 1, size - 1});
  return 0;
}
