#include <hdf5.h>

#include <random>
#include <set>

#include "tenon/base/files.h"
#include "tenon/io/hdf5_reader.h"
#include "tenon/io/hdf5_writer.h"
#include "tenon/io/zip.h"

namespace tenon {
namespace {

const std::string kHdf5Cases = TENON_SOURCE_DIR "/../shared/cases/models/";
const std::string kHdf5Data = TENON_SOURCE_DIR "/tenon/io/testdata/";

// The same file through libhdf5.
class Libhdf5File {
 public:
  explicit Libhdf5File(const std::string& path)
      : file_(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT)) {}
  ~Libhdf5File() { H5Fclose(file_); }
  bool ok() const { return file_ >= 0; }

  std::set<std::string> datasets() const {
    std::set<std::string> paths;
    const auto visit = [](hid_t, const char* name, const H5O_info_t* info, void* out) -> herr_t {
      if (info->type == H5O_TYPE_DATASET) static_cast<std::set<std::string>*>(out)->insert(name);
      return 0;
    };
    H5Ovisit2(file_, H5_INDEX_NAME, H5_ITER_INC, visit, &paths, H5O_INFO_BASIC);
    return paths;
  }

  std::vector<double> numbers(const std::string& path) const {
    const hid_t dataset = H5Dopen2(file_, path.c_str(), H5P_DEFAULT);
    const hid_t space = H5Dget_space(dataset);
    std::vector<double> values(static_cast<size_t>(H5Sget_simple_extent_npoints(space)));
    if (!values.empty()) {
      EXPECT_GE(H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()),
                0);
    }
    H5Sclose(space);
    H5Dclose(dataset);
    return values;
  }

  std::vector<std::string> texts(const std::string& path, const char* attribute) const {
    const hid_t object = H5Oopen(file_, path.c_str(), H5P_DEFAULT);
    const hid_t source = attribute ? H5Aopen(object, attribute, H5P_DEFAULT)
                                   : H5Dopen2(file_, path.c_str(), H5P_DEFAULT);
    const hid_t space = attribute ? H5Aget_space(source) : H5Dget_space(source);
    const hid_t type = attribute ? H5Aget_type(source) : H5Dget_type(source);
    std::vector<char*> views(static_cast<size_t>(H5Sget_simple_extent_npoints(space)));
    EXPECT_GE(attribute ? H5Aread(source, type, views.data())
                        : H5Dread(source, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, views.data()),
              0);
    std::vector<std::string> texts;
    for (const char* view : views) texts.emplace_back(view ? view : "");
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, views.data());
    H5Tclose(type);
    H5Sclose(space);
    attribute ? H5Aclose(source) : H5Dclose(source);
    H5Oclose(object);
    return texts;
  }

 private:
  hid_t file_;
};

std::vector<double> as_doubles(const Tensor& tensor) {
  std::vector<double> values;
  const bool known = visit<RealTypes>(tensor.dtype(), [&]<class T>() {
    for (const T value : tensor.span<T>()) values.push_back(static_cast<double>(value));
  });
  if (!known && tensor.dtype() == DType::kBool) {
    for (const bool value : tensor.span<bool>()) values.push_back(value);
  }
  return values;
}

std::vector<std::string> as_texts(const Tensor& tensor) {
  const auto views = tensor.span<std::string_view>();
  return {views.begin(), views.end()};
}

int compare_with_libhdf5(const Hdf5Reader& reader, const std::string& path) {
  const Libhdf5File other(path);
  EXPECT_TRUE(other.ok());
  auto paths = reader.datasets();
  EXPECT_TRUE(paths.ok()) << paths.status();
  if (!paths.ok()) return 0;
  EXPECT_EQ(std::set<std::string>(paths->begin(), paths->end()), other.datasets());
  for (const std::string& dataset : *paths) {
    auto tensor = reader.read(dataset);
    EXPECT_TRUE(tensor.ok()) << tensor.status();
    if (!tensor.ok()) continue;
    if (tensor->dtype() == DType::kString) {
      EXPECT_EQ(as_texts(*tensor), other.texts(dataset, nullptr)) << dataset;
    } else {
      EXPECT_EQ(as_doubles(*tensor), other.numbers(dataset)) << dataset;
    }
  }
  return static_cast<int>(paths->size());
}

TEST(Hdf5Reader, AgreesWithLibhdf5OnKerasFiles) {
  int files = 0, datasets = 0;
  const std::vector<std::string> cases = *list_directory(kHdf5Cases);
  for (const std::string& name : cases) {
    for (const char* file : {"/model.h5", "/model.weights.h5"}) {
      const std::string path = cat(kHdf5Cases, name, file);
      if (!path_exists(path)) continue;
      auto reader = Hdf5Reader::open(path);
      ASSERT_TRUE(reader.ok()) << reader.status();
      ++files;
      datasets += compare_with_libhdf5(**reader, path);
    }
  }
  EXPECT_GE(files, 6);
  EXPECT_GE(datasets, 100);
}

TEST(Hdf5Reader, ReadsTheWeightsInsideAKerasArchive) {
  auto folder = TemporaryDirectory::create();
  const std::string path = join_path(folder->path(), "weights.h5");
  const std::vector<std::string> cases = *list_directory(kHdf5Cases);
  int archives = 0;
  for (const std::string& name : cases) {
    const std::string archive = cat(kHdf5Cases, name, "/model.keras");
    if (!path_exists(archive)) continue;
    auto zip = ZipReader::open(archive);
    ASSERT_TRUE(zip.ok()) << zip.status();
    auto bytes = (*zip)->read("model.weights.h5");
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    ASSERT_TRUE(write_file(path, *bytes).ok());
    auto reader = Hdf5Reader::from_bytes(*bytes, archive);
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_GT(compare_with_libhdf5(**reader, path), 0);
    ++archives;
  }
  EXPECT_GE(archives, 4);
}

TEST(Hdf5Reader, ReadsTheAttributesOfKeras) {
  const std::string path = kHdf5Cases + "cnn_digits/model.h5";
  auto reader = Hdf5Reader::open(path);
  ASSERT_TRUE(reader.ok());
  const Libhdf5File other(path);
  for (const auto& [object, name] : std::vector<std::pair<std::string, const char*>>{
           {"/", "model_config"},
           {"/", "training_config"},
           {"model_weights", "layer_names"},
           {"model_weights/conv2d_1", "weight_names"}}) {
    auto value = (*reader)->attribute(object, name);
    ASSERT_TRUE(value.ok()) << value.status();
    EXPECT_EQ(as_texts(*value), other.texts(object, name));
  }
  EXPECT_EQ((*reader)->attribute("model_weights/dropout", "weight_names")->num_elements(), 0);
  EXPECT_TRUE(absl::IsNotFound((*reader)->attribute("", "nothing").status()));
  EXPECT_EQ((*reader)->attributes("model_weights")->size(), 3u);
}

// h5py_earliest.h5 was written by h5py: every dtype holds 3 * arange(6) - 4 (unsigned: 3 * arange),
// "gzip" and "chunked" hold arange(3000).reshape(2, 300, 5).
TEST(Hdf5Reader, ReadsWhatH5pyWrites) {
  auto opened = Hdf5Reader::open(kHdf5Data + "h5py_earliest.h5");
  ASSERT_TRUE(opened.ok()) << opened.status();
  const Hdf5Reader& reader = **opened;
  const std::pair<const char*, DType> types[] = {
      {"f2", DType::kHalf},   {"f4", DType::kFloat}, {"f8", DType::kDouble}, {"i1", DType::kInt8},
      {"u1", DType::kUint8},  {"i2", DType::kInt16}, {"u2", DType::kUint16}, {"i4", DType::kInt32},
      {"u4", DType::kUint32}, {"i8", DType::kInt64}, {"u8", DType::kUint64}, {">f4", DType::kFloat},
      {">i2", DType::kInt16}};
  for (const auto& [name, dtype] : types) {
    auto tensor = reader.read(cat("types/", name));
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_EQ(tensor->dtype(), dtype) << name;
    EXPECT_EQ(tensor->shape(), (Shape{2, 3}));
    const double start = is_unsigned_integer(dtype) ? 0 : -4;
    for (size_t i = 0; i < 6; ++i) EXPECT_EQ(as_doubles(*tensor)[i], start + 3 * double(i)) << name;
  }
  EXPECT_EQ(as_doubles(*reader.read("types/bool")), (std::vector<double>{1, 0, 1}));
  EXPECT_EQ(reader.read("types/bool")->dtype(), DType::kBool);
  EXPECT_EQ(reader.read("types/bfloat16")->dtype(), DType::kBfloat16);
  EXPECT_EQ(as_doubles(*reader.read("types/bfloat16")), (std::vector<double>{1, -2, 0.5}));
  EXPECT_EQ(as_texts(*reader.read("types/fixed")), (std::vector<std::string>{"one", "", "three"}));
  EXPECT_EQ(as_texts(*reader.read("types/variable")),
            (std::vector<std::string>{"eins", "", "drei\u00e9"}));
  EXPECT_EQ(reader.read("types/scalar")->data<float>()[0], 2.5f);
  EXPECT_EQ(reader.read("types/empty")->shape(), (Shape{0, 3}));
  EXPECT_EQ(as_doubles(*reader.read("packed")), (std::vector<double>{0, 7, 14, 21, 28}));
  for (const char* name : {"gzip", "chunked"}) {
    auto tensor = reader.read(name);
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_EQ(tensor->shape(), (Shape{2, 300, 5}));
    const std::vector<double> values = as_doubles(*tensor);
    for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], double(i)) << name;
  }
  EXPECT_EQ(reader.list("many")->size(), 600u);
  EXPECT_EQ(reader.read("many/n599")->num_elements(), 4);
}

TEST(Hdf5Reader, ReadsTheAttributesOfH5py) {
  auto opened = Hdf5Reader::open(kHdf5Data + "h5py_earliest.h5");
  ASSERT_TRUE(opened.ok()) << opened.status();
  const Hdf5Reader& reader = **opened;
  EXPECT_EQ(as_texts(*reader.attribute("", "text"))[0], "h\u00e9llo");
  EXPECT_EQ(as_texts(*reader.attribute("", "bytes"))[0], "fixed");
  EXPECT_EQ(as_doubles(*reader.attribute("", "numbers")), (std::vector<double>{1.5, 2.5}));
  EXPECT_EQ(as_doubles(*reader.attribute("", "int")), std::vector<double>{7});
  EXPECT_EQ(as_doubles(*reader.attribute("", "flag")), std::vector<double>{1});
  EXPECT_EQ(as_texts(*reader.attribute("", "names")), (std::vector<std::string>{"a", "bc", ""}));
  EXPECT_EQ(as_texts(*reader.attribute("", "long"))[0], std::string(5000, 'x'));
}

TEST(Hdf5Reader, ReadsTheLatestFormat) {
  auto opened = Hdf5Reader::open(kHdf5Data + "h5py_latest.h5");
  ASSERT_TRUE(opened.ok()) << opened.status();
  const Hdf5Reader& reader = **opened;
  EXPECT_EQ(as_doubles(*reader.read("a/b/x")), (std::vector<double>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(as_doubles(*reader.read("a/b/i")), (std::vector<double>{0, 1, 2}));
  EXPECT_EQ(as_doubles(*reader.read("y")), std::vector<double>{1.25});
  EXPECT_EQ(as_texts(*reader.attribute("a", "text"))[0], "h\u00e9llo");
}

TEST(Hdf5Reader, RefusesLinksAndExternalFiles) {
  for (const auto& [file, path] :
       std::vector<std::pair<std::string, const char*>>{{"h5py_earliest.h5", "links/soft"},
                                                        {"h5py_earliest.h5", "links/external"},
                                                        {"h5py_earliest.h5", "outside"},
                                                        {"h5py_latest.h5", "soft"}}) {
    auto reader = Hdf5Reader::open(kHdf5Data + file);
    ASSERT_TRUE(reader.ok());
    EXPECT_EQ((*reader)->read(path).status().code(), absl::StatusCode::kInvalidArgument) << path;
    EXPECT_FALSE((*reader)->datasets().ok());
  }
}

// Whatever is broken gives an error or other values, within the memory that the file's size allows.
TEST(Hdf5Reader, SurvivesRandomDamage) {
  std::mt19937 random(11);
  for (const std::string& path : {kHdf5Data + "h5py_latest.h5", kHdf5Data + "h5py_earliest.h5",
                                  kHdf5Cases + "cnn_digits/model.weights.h5"}) {
    const std::string bytes = *read_file(path);
    for (int round = 0; round < 400; ++round) {
      std::string broken = bytes;
      constexpr size_t kSuperblock = 96;  // damage there ends the reading at once
      const size_t begin = round % 10 == 0 ? 0 : kSuperblock;
      for (unsigned flips = 1 + random() % 4; flips > 0; --flips) {
        const size_t end = random() % 2 == 0 ? 6000 : broken.size();
        broken[begin + random() % (end - begin)] =
            static_cast<char>(random() % 3 == 0 ? 0xff : random());
      }
      if (round % 5 == 0) broken.resize(random() % broken.size());
      if (broken.size() > 8) broken.replace(0, 8, bytes.substr(0, 8));
      auto reader = Hdf5Reader::from_bytes(std::move(broken), path);
      if (!reader.ok()) continue;
      for (const char* group : {"", "types", "a/b", "layers/conv2d/vars"}) {
        auto names = (*reader)->list(group);
        if (!names.ok()) continue;
        for (const std::string& name : *names) {
          static_cast<void>((*reader)->read(cat(group, "/", name)));
        }
        static_cast<void>((*reader)->attributes(group));
      }
      static_cast<void>((*reader)->datasets());
    }
  }
}

TEST(Hdf5Writer, Libhdf5AndOurReaderReadEverything) {
  Hdf5Writer writer;
  const float values[6] = {0.5f, -1, 2, 3, 4, 5e10f};
  const std::vector<std::string> texts = {"one", "", std::string(9000, 'y'), "dr\u00e9i"};
  const Tensor matrix = Tensor::from(Shape{2, 3}, std::span<const float>(values));
  ASSERT_TRUE(writer.dataset("layers/dense/vars/0", matrix).ok());
  ASSERT_TRUE(writer.dataset("half", Tensor::vector({float16(1.5f), float16(-2.0f)})).ok());
  ASSERT_TRUE(writer.dataset("double", Tensor::scalar(1e300)).ok());
  ASSERT_TRUE(writer.dataset("bool", Tensor::vector({true, false})).ok());
  ASSERT_TRUE(writer.dataset("int64", Tensor::scalar(int64_t{-5000000000})).ok());
  ASSERT_TRUE(writer.dataset("uint8", Tensor::vector({uint8_t{200}, uint8_t{7}})).ok());
  ASSERT_TRUE(writer.dataset("empty", Tensor(DType::kFloat, Shape{0, 3})).ok());
  ASSERT_TRUE(writer.dataset("texts", Tensor::strings(Shape{2, 2}, texts)).ok());
  for (int i = 0; i < 700; ++i) {
    ASSERT_TRUE(writer.dataset(cat("many/n", i), Tensor::scalar(int32_t{i})).ok());
  }
  ASSERT_TRUE(writer.group("layers/dropout/vars").ok());
  ASSERT_TRUE(writer.attribute("layers/dense/vars", "name", "dense").ok());
  ASSERT_TRUE(writer.attribute("", "names", Tensor::strings(Shape{2, 2}, texts)).ok());
  ASSERT_TRUE(writer.attribute("", "numbers", Tensor::vector({1.5, 2.5})).ok());
  ASSERT_TRUE(writer.attribute("", "config", std::string(100000, 'c')).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(writer.dataset("half", matrix)));
  EXPECT_TRUE(absl::IsInvalidArgument(writer.dataset("half/x", matrix)));
  EXPECT_TRUE(absl::IsNotFound(writer.attribute("nowhere", "a", "b")));

  auto folder = TemporaryDirectory::create();
  const std::string path = join_path(folder->path(), "written.h5");
  ASSERT_TRUE(write_file(path, std::move(writer).finish()).ok());
  auto reader = Hdf5Reader::open(path);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(compare_with_libhdf5(**reader, path), 708);
  const Libhdf5File other(path);
  EXPECT_EQ(other.numbers("layers/dense/vars/0"), as_doubles(matrix));
  EXPECT_EQ(other.numbers("half"), (std::vector<double>{1.5, -2}));
  EXPECT_EQ(other.numbers("many/n699"), std::vector<double>{699});
  EXPECT_EQ(other.numbers("int64"), std::vector<double>{-5e9});
  EXPECT_EQ(other.texts("texts", nullptr), texts);
  EXPECT_EQ(other.texts("/", "names"), texts);
  EXPECT_EQ(other.texts("/", "config")[0], std::string(100000, 'c'));
  EXPECT_EQ(other.texts("layers/dense/vars", "name")[0], "dense");
  EXPECT_TRUE((*reader)->list("layers/dropout/vars")->empty());
  EXPECT_EQ(as_doubles(*(*reader)->attribute("", "numbers")), (std::vector<double>{1.5, 2.5}));
}

TEST(Hdf5Writer, Bfloat16ComesBackAsKerasStoresIt) {
  Hdf5Writer writer;
  ASSERT_TRUE(writer.dataset("b", Tensor::vector({bfloat16(1.0f), bfloat16(-3.0f)})).ok());
  auto reader = Hdf5Reader::from_bytes(std::move(writer).finish(), "memory");
  ASSERT_TRUE(reader.ok()) << reader.status();
  auto tensor = (*reader)->read("b");
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->dtype(), DType::kBfloat16);
  EXPECT_EQ(as_doubles(*tensor), (std::vector<double>{1, -3}));
}

}  // namespace
}  // namespace tenon
