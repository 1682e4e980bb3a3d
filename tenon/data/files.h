// Features and labels from files: CSV, IDX (MNIST's format, gzip too) and NPZ.
//
// Everything is read into memory and checked; messages name file and line.
#pragma once

#include "tenon/core/tensor.h"

namespace tenon::data {

struct Table {
  Tensor x;                          // [rows, ...]
  Tensor y;                          // [rows] or [rows, ...]; no value when there are no labels
  std::vector<std::string> classes;  // the texts behind y's numbers, when labels were texts
};

struct FileOptions {
  std::string labels = {};        // IDX and NPY: the file with the labels
  std::string label_column = {};  // CSV: name or 0-based index; empty: "label", "target", "class"
                                  // or "y" when there is such a header, else the last column
  bool with_labels = true;  // false (predict): a label column that is found by name is left out
  std::string x_key = {},
              y_key = {};  // NPZ; empty: x and y, x_train and y_train, or the first two arrays
};

// By the file's content and name: .npz, .npy, .csv (.tsv), IDX. INVALID_ARGUMENT for anything else.
StatusOr<Table> read_table(const std::string& path, const FileOptions& options = {});

// Numbers become float32 features; integer labels int64, other numbers float32, texts class numbers
// in the order of the sorted texts. A first line that holds no number is the header. Ragged rows,
// empty cells and features that are no numbers are INVALID_ARGUMENT.
StatusOr<Table> read_csv(const std::string& path, const FileOptions& options = {});

// One tensor of uint8, int8, int16, int32, float32 or float64.
StatusOr<Tensor> read_idx(const std::string& path);

}  // namespace tenon::data
