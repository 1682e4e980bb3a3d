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

// The TFRecord files of a folder, by name, or the file itself if it is one; else none.
std::vector<std::string> record_files(const std::string& path);

// All rows, in memory: a tensor of each component; none where there are no rows. INVALID_ARGUMENT
// for one of another dtype or shape than the first.
StatusOr<Element> columns_of_rows(const Dataset& rows);
StatusOr<Table> collect(const RowStream& stream);

}  // namespace tenon::data
