// The part of ICU's data that an image ships: against icupkg, which is ICU's own tool for that, and
// the loader.
#include "tenon/image/build/icu_data.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include "tenon/base/files.h"
#include "tenon/image/build/elf_edit.h"
#include "tenon/image/testing/build_fixture.h"

namespace tenon::image {
namespace {

std::string little_endian(size_t value, int size) {
  std::string out;
  for (int i = 0; i < size; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
  return out;
}

// A package of items by name; a header of 32 bytes.
std::string icu_package(const std::map<std::string, std::string>& items) {
  std::string header = cat(little_endian(32, 2), "\xda\x27", little_endian(20, 2),
                           little_endian(0, 2), little_endian(0, 2), little_endian(2, 2), "CmnD",
                           little_endian(1, 4), little_endian(3, 4));
  header.resize(32, '\0');
  std::string names;
  for (const auto& [name, content] : items) names += cat("icudt72l/", name, '\0');
  while ((4 + 8 * items.size() + names.size()) % 16 != 0) names += '\xaa';
  std::string table = little_endian(items.size(), 4), contents;
  size_t name_at = 4 + 8 * items.size();
  const size_t begin = name_at + names.size();
  for (const auto& [name, content] : items) {
    table += cat(little_endian(name_at, 4), little_endian(begin + contents.size(), 4));
    name_at += name.size() + 10;
    contents += content;
    while (contents.size() % 16 != 0) contents += '\xaa';
  }
  return cat(header, table, names, contents);
}

TEST(IcuData, ItemsAreSelectedAsIcupkgDoes) {
  const std::map<std::string, std::string> all = {{"a.cnv", std::string(1000, 'a')},
                                                  {"coll/de.res", "collation"},
                                                  {"cnvalias.icu", "names"},
                                                  {"zz.cnv", std::string(16, 'z')}};
  auto some = all;
  some.erase("coll/de.res");
  const std::string package = icu_package(all);
  const auto kept = select_icu_items(
      package, [](std::string_view name) { return name.find('/') == std::string_view::npos; });
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(*kept, icu_package(some));
  EXPECT_EQ(*select_icu_items(package, [](std::string_view) { return true; }), package);
  for (size_t size = 0; size < package.size(); ++size) {
    (void)select_icu_items(package.substr(0, size), [](std::string_view) { return true; }).ok();
  }
  for (size_t at = 0; at < 120; ++at) {
    std::string damaged = package;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x81);
    (void)select_icu_items(damaged, [](std::string_view) { return true; }).ok();
  }
}

class IcuLibraryTest : public BuildTest {
 protected:
  // A libicudata.so around `data`, with code and variables beside it.
  std::string compile(const std::string& data) {
    EXPECT_TRUE(write_file(path("data"), data).ok());
    EXPECT_TRUE(write_file(path("lib.c"),
                           cat("__asm__(\".section .rodata\\n.balign 16\\n.global icudt72_dat\\n"
                               "icudt72_dat: .incbin \\\"",
                               path("data"),
                               "\\\"\\n.size icudt72_dat, .-icudt72_dat\\n"
                               ".type icudt72_dat, @object\\n.text\\n\");\n"
                               "int variable = 7; int* pointer = &variable; int zeros[9];\n"
                               "int answer(void) { return *pointer + zeros[3]; }\n"))
                    .ok());
    const auto output =
        run_tool({"gcc", "-shared", "-fPIC", "-nostdlib", "-fno-asynchronous-unwind-tables", "-o",
                  path("lib.so"), "-Wl,-soname,libicudata.so.72", path("lib.c")});
    EXPECT_TRUE(output.ok()) << output.status();
    return *read_file(path("lib.so"));
  }
  // Loads the library at `file`, and compares the beginning of its data.
  static void check_loads(const std::string& file, const std::string& data) {
    void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << ::dlerror();
    const auto* loaded = static_cast<const char*>(::dlsym(library, "icudt72_dat"));
    ASSERT_NE(loaded, nullptr);
    EXPECT_EQ(std::string_view(loaded, data.size()), data);
    auto* answer = reinterpret_cast<int (*)()>(::dlsym(library, "answer"));
    ASSERT_NE(answer, nullptr);
    EXPECT_EQ(answer(), 7);
    ::dlclose(library);
  }
};

TEST_F(IcuLibraryTest, TheRestLeavesTheFile) {
  constexpr const char* kLibrary = "usr/lib/x86_64-linux-gnu/libicudata.so.72.1";
  std::string noise;
  for (uint32_t i = 0, x = 1; i < 300'000; ++i)
    noise += static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
  const std::string small =
      icu_package({{"cnvalias.icu", "names"}, {"x.cnv", noise.substr(0, 9000)}});
  const std::string bytes = compile(icu_package(
      {{"cnvalias.icu", "names"}, {"coll/de.res", noise}, {"x.cnv", noise.substr(0, 9000)}}));
  add({"libicu", "1", "amd64", "", {{kLibrary, bytes}, {"usr/share/other", "other"}}});
  publish();
  const auto result =
      make("packages: [libicu, base-files]\nicu_data: [cnvalias.icu, \"*.cnv\"]\n", "a");
  ASSERT_TRUE(result.ok()) << result.status();
  const auto tree = files_of("a");
  ASSERT_TRUE(tree.ok()) << tree.status();
  const std::string shipped = text_of(**tree, kLibrary);
  EXPECT_LT(shipped.size(), bytes.size() - 280'000);
  ASSERT_TRUE(write_file(path("shipped.so"), shipped).ok());
  check_loads(path("shipped.so"), small);
  check_loads(path("lib.so"), *read_file(path("data")));

  // Package lists say what is there: the sum of the library as shipped, the others as they were.
  const std::string sums = text_of(**tree, "var/lib/dpkg/status.d/libicu.md5sums");
  const auto md5 = run_tool({"md5sum", path("shipped.so")});
  ASSERT_TRUE(md5.ok()) << md5.status();
  EXPECT_NE(sums.find(cat(md5->substr(0, 32), "  ", kLibrary)), std::string::npos) << sums;

  const auto typo =
      make("packages: [libicu, base-files]\nicu_data: [cnvalias.icu, \"*.cnw\"]\n", "b");
  EXPECT_EQ(typo.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(message_of(typo.status()).find("'*.cnw'"), std::string_view::npos) << typo.status();
}

TEST_F(IcuLibraryTest, DamagedLibrariesAreErrorsOrStayWhole) {
  const std::string bytes = compile(
      icu_package({{"a.cnv", std::string(20'000, 'a')}, {"b.res", std::string(20'000, 'b')}}));
  const auto any = [](std::string_view name) { return name == "icudt72_dat"; };
  for (size_t at = 0; at < 1024; ++at) {
    for (const int bits : {0xFF, 0x01, 0x80}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ bits);
      const auto object = find_elf_object(damaged, any);
      if (!object.ok()) continue;
      ASSERT_LE(object->offset + object->size, damaged.size());
      shrink_elf_object(damaged, *object, "");
      EXPECT_LE(damaged.size(), bytes.size());
    }
  }
  for (size_t size = 0; size < 2000; ++size) (void)find_elf_object(bytes.substr(0, size), any).ok();
}

TEST_F(IcuLibraryTest, DebiansOwnDataBecomesWhatIcupkgWrites) {
  const auto output = run_tool({"sh", "-c", "ls /usr/lib/*/libicudata.so.[0-9]*.*"});
  ASSERT_TRUE(output.ok()) << output.status();
  std::string bytes = *read_file(std::string(trim(*output)));
  const auto object =
      find_elf_object(bytes, [](std::string_view name) { return name.ends_with("_dat"); });
  ASSERT_TRUE(object.ok()) << object.status();
  const std::string package = bytes.substr(object->offset, object->size);
  std::string removed;
  const auto kept = select_icu_items(package, [&](std::string_view name) {
    if (name.ends_with(".cnv") || name == "cnvalias.icu") return true;
    removed += cat(name, "\n");
    return false;
  });
  ASSERT_TRUE(kept.ok()) << kept.status();
  ASSERT_TRUE(create_directories(path("out")).ok());
  const size_t name_at = package.find("icudt");
  const std::string name = package.substr(name_at, package.find('/', name_at) - name_at);
  ASSERT_TRUE(write_file(path(cat(name, ".dat")), package).ok());
  ASSERT_TRUE(write_file(path("removed.txt"), removed).ok());
  const auto tool = run_tool({"/usr/sbin/icupkg", "-tl", "--remove", path("removed.txt"),
                              path(cat(name, ".dat")), path(cat("out/", name, ".dat"))});
  ASSERT_TRUE(tool.ok()) << tool.status();
  EXPECT_TRUE(*kept == *read_file(path(cat("out/", name, ".dat"))));
}

}  // namespace
}  // namespace tenon::image
