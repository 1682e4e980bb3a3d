// Features and labels from files: CSV, IDX (MNIST's format) and NPY, gzipped or not, and NPZ; from
// standard input where the path is "-"; TFRecords of tf.Examples; folders of images or of
// TFRecords. The kind is found by content, whatever the file is named.
//
// Everything is read into memory and checked; messages name file and line, and count rows, lines
// and columns from 1.
#pragma once

#include "tenon/core/tensor.h"

namespace tenon::data {

// What a model must remember of the data that it was trained on, to be judged on other files.
struct Names {
  std::vector<std::string> classes = {};   // the texts behind y's numbers, when labels were texts
  std::vector<std::string> features = {};  // the columns behind x's, when a CSV's header names them
};

struct Table {
  Tensor x;     // [rows, ...]
  Tensor y;     // [rows] or [rows, ...]; no value when there are no labels
  Names names;  // features are empty, too, where two columns share a name
};

enum class CsvHeader { kAuto, kYes, kNo };

// Whether labels are read, and how texts among them become numbers.
enum class Labels {
  kNumber,  // texts are numbered in the order of the sorted texts: for training
  kKnown,   // texts must be among the names' classes: for data that a trained model is judged on
  kPassed,  // the column of the labels is no feature, and what it holds is not looked at
  kNone,    // as kPassed, for a column that is found by its name; else all are features
};

// What features are read as.
enum class Features {
  kFloats,
  kIntegers,  // of CSV and TFRecord int64, for models that take integers: float32 has 24 bits
  kTexts,     // of CSV and TFRecord texts, for models that take them
};

// How images become rows. Their sizes must be equal where no size is given.
struct ImageOptions {
  int64_t height = 0, width = 0;  // 0: as they are
  int channels = 3;               // 1, 3 or 4
};

struct FileOptions {
  bool reads_labels() const {
    return use_labels == Labels::kNumber || use_labels == Labels::kKnown;
  }

  std::string labels = {};        // IDX and NPY: the file with the labels
  std::string label_column = {};  // CSV: name or 0-based index; empty: "label", "target", "class"
                                  // or "y" when there is such a header, else the last column;
                                  // TFRecord: the feature's name; empty: one of these names
  std::vector<std::string> features = {};  // CSV: names or 0-based indices, in the model's order;
                                           // empty: those of `names`, else all but the label's;
                                           // TFRecord: names; empty: the only one that holds
                                           // images, else as of CSV
  char separator = 0;                      // CSV; 0: found in the first lines
  CsvHeader header = CsvHeader::kAuto;
  Features take = Features::kFloats;
  Labels use_labels = Labels::kNumber;
  // The model's. When there are classes, labels are their texts; when there are features, columns
  // are found by them in a CSV with a header, in whatever order it has them.
  Names names = {};
  std::string x_key = {},
              y_key = {};    // NPZ; empty: x and y, x_train and y_train, or the first two arrays
  ImageOptions images = {};  // of a folder, or encoded in tf.Examples
};

// INVALID_ARGUMENT for a file of another kind, and for a label that is no class; RESOURCE_EXHAUSTED
// where memory does not hold the rows. Of images, classes are the folders' names; for training
// (Labels::kNumber) they come in a random order, always the same, else in that of their names.
StatusOr<Table> read_table(const std::string& path, const FileOptions& options = {});

// As read_table for text that is in memory; `name` stands for it in messages. Numbers become
// float32 features (or, by `take`, int64 ones, or texts as they stand); integer labels int64, other
// numbers float32, texts class numbers. A header that is taken for one without being asked for is
// named in the log. Ragged rows, missing values and features that are no numbers are
// INVALID_ARGUMENT and say what to do.
StatusOr<Table> parse_csv(std::string_view text, const FileOptions& options,
                          const std::string& name);

// The cells of the first record of a CSV file, without blanks around them. INVALID_ARGUMENT for a
// file of another kind, and for an empty one.
StatusOr<std::vector<std::string>> csv_names(const std::string& path, const FileOptions& options);

// One tensor of uint8, int8, int16, int32, float32 or float64.
StatusOr<Tensor> decode_idx(std::string_view bytes, const std::string& name);

// Labels from texts, by `options`: the numbers of its classes; or, when there are none, the
// texts as numbers where they are numbers, else numbered anew (Labels::kNumber), the texts then in
// `classes`. `place(row)` names a row in messages.
StatusOr<Tensor> number_labels(std::span<const std::string> texts, const FileOptions& options,
                               const std::function<std::string(size_t row)>& place,
                               std::vector<std::string>& classes);

}  // namespace tenon::data
