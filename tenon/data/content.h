// What a data file holds, found by its first bytes whatever it is named. Internal to data/.
#pragma once

#include "tenon/base/status.h"

namespace tenon::data {

enum class ContentKind { kCsv, kIdx, kNpy, kNpz };

struct Content {
  ContentKind kind = ContentKind::kCsv;
  std::string name;   // for messages: the path, or "standard input"
  std::string bytes;  // inflated where the file was gzipped; of an NPZ file none
};

// Reads the file, or standard input for "-". INVALID_ARGUMENT, with the kinds that there are, for
// anything else.
StatusOr<Content> read_content(const std::string& path);

// As read_content(), of a file, with the first bytes alone; of a CSV, with its byte order mark.
StatusOr<Content> peek_content(const std::string& path);

inline constexpr std::string_view kUtf8Mark = "\xef\xbb\xbf";

// "CSV, IDX, NPY and NPZ are read, ...": the end of a message about a file that is none of them.
std::string known_kinds();

}  // namespace tenon::data
