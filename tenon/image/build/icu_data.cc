#include "tenon/image/build/icu_data.h"

#include <openssl/evp.h>

#include <algorithm>

#include "tenon/base/hex.h"
#include "tenon/image/build/elf_edit.h"

namespace tenon::image {
namespace {

constexpr uint64_t kLargestLibrary = 256 << 20;
constexpr uint64_t kLargestList = 16 << 20;
constexpr size_t kMostItems = 1 << 16, kLongestItemName = 256;
// ICU's udata.h and ucmndata.h: a header of its own length, then the table of contents, whose
// offsets count from its beginning; items begin at multiples of 16, the gaps filled like this.
constexpr size_t kItemAlignment = 16;
constexpr char kGap = '\xaa';

uint32_t word_at(std::string_view bytes, size_t at, size_t size = 4) {
  uint32_t value = 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

void append_word(std::string& out, size_t value) {
  for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
}

struct IcuItem {
  std::string_view name;  // with that of the package
  std::string_view content;
};

StatusOr<std::vector<IcuItem>> read_items(std::string_view table) {
  const auto damaged = [] { return data_loss("a damaged table of contents"); };
  if (table.size() < 4) return damaged();
  const size_t count = word_at(table, 0);
  if (count > kMostItems || count > (table.size() - 4) / 8) return damaged();
  std::vector<IcuItem> items(count);
  for (size_t i = 0; i < count; ++i) {
    const size_t name_at = word_at(table, 4 + 8 * i), begin = word_at(table, 8 + 8 * i);
    const size_t end = i + 1 < count ? word_at(table, 16 + 8 * i) : table.size();
    if (name_at >= table.size() || begin > end || end > table.size()) return damaged();
    const std::string_view rest = table.substr(name_at, kLongestItemName);
    items[i].name = rest.substr(0, rest.find('\0'));
    if (items[i].name.size() == rest.size()) return damaged();
    items[i].content = table.substr(begin, end - begin);
  }
  return items;
}

std::string write_items(std::string_view header, const std::vector<IcuItem>& items) {
  std::string names, table;
  const size_t names_at = 4 + 8 * items.size();
  for (const IcuItem& item : items) names += cat(item.name, '\0');
  while ((names_at + names.size()) % kItemAlignment != 0) names += kGap;
  append_word(table, items.size());
  size_t name_at = names_at, content_at = names_at + names.size();
  for (const IcuItem& item : items) {
    append_word(table, name_at);
    append_word(table, content_at);
    name_at += item.name.size() + 1;
    content_at += (item.content.size() + kItemAlignment - 1) / kItemAlignment * kItemAlignment;
  }
  std::string package = cat(header, table, names);
  for (const IcuItem& item : items) {
    package += item.content;
    while ((package.size() - header.size()) % kItemAlignment != 0) package += kGap;
  }
  return package;
}

// The library's bytes with the items alone that patterns admit; those that matched are marked.
StatusOr<std::string> select_in_library(std::string bytes, const std::vector<std::string>& patterns,
                                        std::vector<bool>& matched) {
  TENON_ASSIGN_OR_RETURN(const ElfObject data, find_elf_object(bytes, [](std::string_view name) {
                           return name.starts_with("icudt") && name.ends_with("_dat");
                         }));
  TENON_ASSIGN_OR_RETURN(const std::string package,
                         select_icu_items(std::string_view(bytes).substr(data.offset, data.size),
                                          [&](std::string_view item) {
                                            bool keep = false;
                                            for (size_t i = 0; i < patterns.size(); ++i) {
                                              if (!glob_matches(patterns[i], item)) continue;
                                              matched[i] = keep = true;
                                            }
                                            return keep;
                                          }));
  if (package.size() < data.size) shrink_elf_object(bytes, data, package);
  return bytes;
}

StatusOr<std::string> md5_hex(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_md5(), nullptr) != 1) {
    return internal("OpenSSL computes no MD5");
  }
  return hex_of({reinterpret_cast<const char*>(digest), size});
}

// In md5sums, "HEX  PATH" a line, the sum of the file at `path`.
Status mend_sum(const std::string& path, const TreeNode& node, Tree& layer) {
  const std::string list = cat("var/lib/dpkg/status.d/",
                               node.origin.substr(std::string_view("package ").size()), ".md5sums");
  const auto found = layer.nodes().find(list);
  if (found == layer.nodes().end()) return {};
  TENON_ASSIGN_OR_RETURN(const std::string text, read_text(found->second, kLargestList));
  TENON_ASSIGN_OR_RETURN(const std::string sum, md5_hex(node.text));
  std::string mended;
  for (std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    const bool same = line.size() > 34 && layer.resolve(line.substr(34), false) == path;
    mended += same ? cat(sum, line.substr(32), "\n") : cat(line, "\n");
  }
  TreeNode changed = found->second;
  changed.text = std::move(mended);
  changed.size = changed.text.size();
  layer.put(list, std::move(changed));
  return {};
}

}  // namespace

StatusOr<std::string> select_icu_items(std::string_view package,
                                       FunctionRef<bool(std::string_view)> keep) {
  constexpr size_t kShortestHeader = 24;  // sizes, magic, and what the data is
  if (package.size() < kShortestHeader || package.substr(2, 2) != "\xda\x27" ||
      package.substr(12, 4) != "CmnD" || package[8] != 0 || package[9] != 0) {
    return data_loss("no ICU data package for a little-endian machine");
  }
  const size_t header = word_at(package, 0, 2);
  if (header < kShortestHeader || header > package.size()) return data_loss("a damaged header");
  TENON_ASSIGN_OR_RETURN(std::vector<IcuItem> items, read_items(package.substr(header)));
  std::erase_if(
      items, [&](const IcuItem& item) { return !keep(item.name.substr(item.name.find('/') + 1)); });
  return write_items(package.substr(0, header), items);
}

Status select_icu_data(const std::vector<std::string>& patterns, Tree& layer) {
  std::vector<std::string> libraries;
  for (const auto& [path, node] : layer.nodes()) {
    const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
    if (node.type == EntryType::kFile && node.origin.starts_with("package ") &&
        name.starts_with("libicudata.so.")) {
      libraries.push_back(path);
    }
  }
  for (const std::string& path : libraries) {
    TreeNode node = layer.nodes().at(path);
    const std::string what = cat(node.origin, ": ", path);
    std::vector<bool> matched(patterns.size(), false);
    auto bytes = read_text(node, kLargestLibrary);
    if (bytes.ok()) bytes = select_in_library(*std::move(bytes), patterns, matched);
    if (!bytes.ok()) return with_context(bytes.status(), what);
    for (size_t i = 0; i < patterns.size(); ++i) {
      if (matched[i]) continue;
      return invalid_argument(what, " has no item '", patterns[i], "' that icu_data names");
    }
    node.text = *std::move(bytes);
    node.size = node.text.size();
    node.spool = nullptr;
    TENON_RETURN_IF_ERROR(mend_sum(path, node, layer));
    layer.put(path, std::move(node));
  }
  return {};
}

}  // namespace tenon::image
