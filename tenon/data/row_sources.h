// What open_rows() and read_table() read rows from. Internal to data/.
#pragma once

#include "tenon/data/open_rows.h"

namespace tenon::data {

// A folder: images, or else TFRecord files.
StatusOr<RowStream> open_folder(const std::string& path, const FileOptions& options);

// The examples of all records. `name` stands for the files in messages.
StatusOr<RowStream> open_examples(const std::vector<std::string>& paths, const FileOptions& options,
                                  const std::string& name);

StatusOr<RowStream> open_csv(const std::string& path, const FileOptions& options);

// All rows, in memory.
StatusOr<Table> collect(const RowStream& stream);

}  // namespace tenon::data
