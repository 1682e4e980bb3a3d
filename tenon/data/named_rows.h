// Rows of several named tensors: data of models with several inputs or outputs.
#pragma once

#include "tenon/data/dataset.h"
#include "tenon/data/files.h"

namespace tenon::data {

struct NamedTensor {
  std::string name;
  PartialShape row;              // of each row; unknown, it must be that of an NPZ's array
  bool is_class_number = false;  // a number of a class, int64
  bool optional = false;         // may lack
  bool is_text = false;
  bool is_integer = false;  // numbers are int64 as they stand, not float32
};

struct NamedRows {
  DatasetPtr rows;           // of each row the tensors that there are, in the order asked for
  std::vector<bool> exists;  // of each tensor that was asked for

  // All rows, in memory, of each tensor that was asked for; those that lack have no value.
  StatusOr<Element> collect() const;
};

// Finds tensors by their names: the arrays of an NPZ, which are in memory and given as they are;
// the features of TFRecords of tf.Examples, in one file or a folder; the columns of a CSV with a
// header, of which a tensor of one number a row is that of its name, one of n numbers are NAME_0 to
// NAME_n-1. Records and CSV are read anew in each pass. Numbers become float32, or int64; bytes
// that are an image are decoded, where no text is asked for. INVALID_ARGUMENT names what is not
// there, and what is; so do passes a damaged record or line, and with Labels::kNumber records with
// a NaN. Of the options, `label_column`, `features` and `names` do not act.
StatusOr<NamedRows> open_named_rows(const std::string& path, std::vector<NamedTensor> wanted,
                                    const FileOptions& options);

}  // namespace tenon::data
