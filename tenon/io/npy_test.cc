#include "tenon/io/npy.h"

#include "tenon/io/bytes.h"

namespace tenon {
namespace {

const std::string kNpyData = TENON_SOURCE_DIR "/tenon/io/testdata/";

// Without the sync of write_file(), which takes its time.
void rewrite(const std::string& path, std::string_view bytes) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  ASSERT_EQ(std::fwrite(bytes.data(), 1, bytes.size(), file), bytes.size());
  std::fclose(file);
}

// numpy.npz was written by NumPy: each array is a simple function of arange(24).reshape(2, 3, 4).
TEST(Npz, ReadsEveryDtypeThatNumpyWrites) {
  auto npz = NpzReader::open(kNpyData + "numpy.npz");
  ASSERT_TRUE(npz.ok()) << npz.status();
  const auto check = [&]<class T>(const char* name, T, auto value) {
    auto tensor = npz->read(name);
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    ASSERT_EQ(tensor->dtype(), dtype_of<T>) << name;
    ASSERT_EQ(tensor->shape(), (Shape{2, 3, 4})) << name;
    for (int i = 0; i < 24; ++i) EXPECT_EQ(tensor->data<T>()[i], static_cast<T>(value(i))) << name;
  };
  check("f2", float16(), [](int i) { return static_cast<float>(i) / 4; });
  check("f4", float(), [](int i) { return static_cast<float>(i) / 3; });
  check("f8", double(), [](int i) { return i / 7.0; });
  check("i1", int8_t(), [](int i) { return i - 12; });
  check("u1", uint8_t(), [](int i) { return i; });
  check("i2", int16_t(), [](int i) { return i * -100; });
  check("u2", uint16_t(), [](int i) { return i * 2000; });
  check("i4", int32_t(), [](int i) { return i * -100000; });
  check("u4", uint32_t(), [](int i) { return uint32_t(i) * 170000000u; });
  check("i8", int64_t(), [](int i) { return i * -1000000000000000; });
  check("u8", uint64_t(), [](int i) { return uint64_t(i) * 700000000000000000u; });
  check("b", bool(), [](int i) { return i % 3 == 0; });
  check("c8", std::complex<float>(),
        [](int i) { return std::complex<float>(float(i), 2 * float(i)); });
  check("c16", std::complex<double>(), [](int i) { return std::complex<double>(i, -0.5 * i); });
}

TEST(Npz, ReadsFortranOrderBigEndianAndText) {
  auto npz = NpzReader::open(kNpyData + "numpy_layouts.npz");
  ASSERT_TRUE(npz.ok()) << npz.status();
  for (int i = 0; i < 24; ++i) {
    EXPECT_EQ(npz->read("fortran")->data<float>()[i], static_cast<float>(i) / 3);
    EXPECT_EQ(npz->read("big")->data<double>()[i], i / 7.0);
    EXPECT_EQ(npz->read("big_complex")->data<std::complex<double>>()[i],
              std::complex<double>(i, -0.5 * i));
    EXPECT_EQ(npz->read("big_fortran")->data<int16_t>()[i], i * -100);
  }
  const auto texts = [&](const char* name) {
    const Tensor tensor = *npz->read(name);
    const auto views = tensor.span<std::string_view>();
    return std::vector<std::string>(views.begin(), views.end());
  };
  EXPECT_EQ(texts("text"), (std::vector<std::string>{"\u00e9", "ab\U0001F600", "", "x"}));
  EXPECT_EQ(texts("big_text"), (std::vector<std::string>{"\u00e9", "ab"}));
  EXPECT_EQ(texts("bytes"), (std::vector<std::string>{"one", "", std::string("a\0b", 3)}));
  EXPECT_EQ(npz->read("scalar")->data<float>()[0], 1.5f);
  EXPECT_EQ(npz->read("scalar")->rank(), 0);
  EXPECT_EQ(npz->read("empty")->shape(), (Shape{0, 3}));
  EXPECT_EQ(npz->read("object_").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::IsNotFound(npz->read("nothing").status()));
}

// The members of NumPy's own archive, decoded and encoded again, are NumPy's bytes.
TEST(Npy, WritesTheBytesThatNumpyWrites) {
  auto zip = ZipReader::open(kNpyData + "numpy.npz");
  ASSERT_TRUE(zip.ok()) << zip.status();
  EXPECT_EQ((*zip)->entries().size(), 14u);
  for (const ZipEntry& entry : (*zip)->entries()) {
    const std::string bytes = *(*zip)->read(entry.name);
    EXPECT_EQ(*encode_npy(*decode_npy(bytes, entry.name)), bytes) << entry.name;
  }
}

TEST(Npy, WritesBfloat16AsItsBitsAndStringsAsS) {
  auto bits = decode_npy(*encode_npy(Tensor::vector({bfloat16(1.0f), bfloat16(-2.0f)})), "x");
  ASSERT_TRUE(bits.ok());
  EXPECT_EQ(bits->dtype(), DType::kUint16);
  EXPECT_EQ(bits->data<uint16_t>()[1], 0xc000);
  auto text = decode_npy(*encode_npy(Tensor::string("ab")), "x");
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(text->data<std::string_view>()[0], "ab");
  EXPECT_EQ(text->rank(), 0);
}

TEST(Npy, RefusesHostileHeaders) {
  const auto npy = [](std::string header) {
    std::string bytes = "\x93NUMPY";
    bytes += {'\x01', '\x00'};
    append_le(bytes, static_cast<uint16_t>(header.size()));
    return bytes + header + std::string(8, '\0');
  };
  for (const char* header :
       {"", "{", "{'descr': '<f4'}", "{'descr': '<f4', 'shape': (2,}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}",
        "{'descr': '<f99', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|S0', 'fortran_order': False, 'shape': (1000000000,)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}"}) {
    EXPECT_FALSE(decode_npy(npy(header), "x").ok()) << header;
  }
  EXPECT_TRUE(decode_npy(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}"), "x").ok());
}

TEST(Zip, FindsEveryFlippedByteOfContentAndDirectory) {
  auto folder = TemporaryDirectory::create();
  const std::string path = join_path(folder->path(), "a.zip");
  auto writer = ZipWriter::create(path);
  ASSERT_TRUE((*writer)->add("one.txt", "the first member").ok());
  ASSERT_TRUE((*writer)->add("two.txt", std::string(500, 'x'), true).ok());
  ASSERT_TRUE((*writer)->finish().ok());
  const std::string bytes = *read_file(path);
  const auto content = [](const std::string& archive) -> StatusOr<std::string> {
    TENON_ASSIGN_OR_RETURN(auto zip, ZipReader::open(archive));
    TENON_ASSIGN_OR_RETURN(const std::string one, zip->read("one.txt"));
    TENON_ASSIGN_OR_RETURN(const std::string two, zip->read("two.txt"));
    return one + two;
  };
  const std::string want = *content(path);
  EXPECT_EQ(want, "the first member" + std::string(500, 'x'));
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string broken = bytes;
    broken[i] = static_cast<char>(broken[i] ^ 0x21);
    rewrite(path, broken);
    const auto got = content(path);
    EXPECT_TRUE(!got.ok() || *got == want) << "byte " << i;
    if (i % 8 != 0) continue;
    rewrite(path, bytes.substr(0, i));
    EXPECT_FALSE(content(path).ok()) << "cut at " << i;
  }
}

TEST(Zip, EqualContentGivesEqualBytes) {
  auto folder = TemporaryDirectory::create();
  std::string first;
  for (const char* name : {"a", "b"}) {
    const std::string path = join_path(folder->path(), name);
    auto writer = ZipWriter::create(path, 1700000000);
    ASSERT_TRUE((*writer)->add("m", "text").ok());
    ASSERT_TRUE((*writer)->finish().ok());
    const std::string bytes = *read_file(path);
    if (first.empty()) first = bytes;
    EXPECT_EQ(bytes, first);
  }
}

TEST(Zip, RefusesABomb) {
  auto folder = TemporaryDirectory::create();
  const std::string path = join_path(folder->path(), "a.zip");
  auto writer = ZipWriter::create(path);
  ASSERT_TRUE((*writer)->add("m", std::string(100, 'x'), true).ok());
  ASSERT_TRUE((*writer)->finish().ok());
  std::string bytes = *read_file(path);
  // Zip64 extra field for the central entry that claims 2^40 bytes.
  const size_t central = bytes.find("PK\x01\x02");
  std::string entry = bytes.substr(central, 46 + 1);
  std::memset(entry.data() + 24, 0xff, 4);
  entry[30] = 12;
  append_le(entry, uint16_t{1});
  append_le(entry, uint16_t{8});
  append_le(entry, uint64_t{1} << 40);
  std::string end = bytes.substr(bytes.find("PK\x05\x06"));
  end[12] = static_cast<char>(entry.size());
  ASSERT_TRUE(write_file(path, bytes.substr(0, central) + entry + end).ok());
  auto zip = ZipReader::open(path);
  ASSERT_TRUE(zip.ok()) << zip.status();
  EXPECT_EQ((*zip)->read("m").status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace tenon
