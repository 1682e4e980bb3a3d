// FolderAccess: file ops of a graph may touch the folders it is given, and nothing else.
#pragma once

#include "tenon/core/interfaces.h"

namespace tenon {

class FolderAccess final : public FileAccess {
 public:
  // `everything` lifts the restriction (`--allow_file_ops`).
  FolderAccess(std::vector<std::string> readable, std::vector<std::string> writable,
               bool everything);

  StatusOr<std::string> readable(std::string_view path) const override;
  StatusOr<std::string> writable(std::string_view path) const override;

 private:
  std::vector<std::string> readable_;
  std::vector<std::string> writable_;
  bool everything_;
};

}  // namespace tenon
