// Tables from folders of images and from TFRecords: how read_table() takes them. Internal to data/.
#pragma once

#include "tenon/data/files.h"

namespace tenon::data {

// A folder: images, or else TFRecord files.
StatusOr<Table> read_folder(const std::string& path, const FileOptions& options);

// The examples of all records. `name` stands for the files in messages.
StatusOr<Table> read_examples(const std::vector<std::string>& paths, const FileOptions& options,
                              const std::string& name);

}  // namespace tenon::data
