// Which libraries an image can do without.
#include <set>

#include "tenon/image/build/ld_cache.h"
#include "tenon/image/testing/build_fixture.h"

namespace tenon::image {
namespace {

constexpr const char* kFolder = "usr/lib/x86_64-linux-gnu/";

class LinksTest : public BuildTest {
 protected:
  // Compiles `source` (C) to a shared object that links the named libraries of this folder.
  std::string compile(const std::string& name, const std::string& source,
                      const std::vector<std::string>& links = {}) {
    const std::string file = path(cat(name, ".c"));
    EXPECT_TRUE(write_file(file, source).ok());
    std::vector<std::string> words = {"gcc",
                                      "-shared",
                                      "-fPIC",
                                      "-nostdlib",
                                      "-o",
                                      path(name),
                                      cat("-Wl,-soname,", name),
                                      "-Wl,--no-as-needed",
                                      file};
    for (const std::string& library : links) words.push_back(path(library));
    const auto output = run_tool(words);
    EXPECT_TRUE(output.ok()) << output.status();
    return *read_file(path(name));
  }
};

TEST_F(LinksTest, WhatNothingCanLoadStaysOut) {
  TestPackage package{"libs", "1", "amd64", "", {}};
  const auto add_library = [&](const std::string& name, const std::vector<std::string>& links) {
    package.files[cat(kFolder, name)] =
        compile(name, cat("int ", name.substr(0, name.find('.')), "(void) { return 1; }\n"), links);
  };
  add_library("libdeep.so.1", {});
  add_library("liblinked.so.1", {"libdeep.so.1"});
  add_library("libopened.so.1", {});
  add_library("libunused.so.1", {"libdeep.so.1"});
  add_library("libkept.so.1", {});
  add_library("libnss_dns.so.2", {});
  package.files[cat(kFolder, "libunused.so")] = "-> libunused.so.1";
  package.files["usr/lib/modules/plug.so"] = compile("plug.so", "int plug(void) { return 1; }\n");
  package.files["etc/ld.so.conf.d/x.conf"] = "/usr/lib/x86_64-linux-gnu\n";
  add(package);
  publish();
  (void)compile("program",
                "void* dlopen(const char*, int); int liblinked(void);\n"
                "void* start(void) { return liblinked() ? dlopen(\"libopened.so.1\", 1) : 0; }\n",
                {"liblinked.so.1"});
  const std::string lines =
      "packages: [libs, base-files]\nprune_libraries: true\nloaded_libraries: [libkept.so.1]\n"
      "layers:\n  - name: program\n    files:\n"
      "      - {path: /usr/bin/program, source: program, mode: \"0755\"}\n";
  const auto result = make(lines, "a");
  ASSERT_TRUE(result.ok()) << result.status();
  const auto tree = files_of("a");
  std::set<std::string> left;
  ASSERT_TRUE((*tree)
                  ->for_each([&](const std::string& place, const TreeNode& node) -> Status {
                    const bool library = place.find(".so") != std::string::npos &&
                                         node.type != EntryType::kDirectory &&
                                         !place.starts_with("etc/");
                    if (library) left.insert(place.substr(place.rfind('/') + 1));
                    return {};
                  })
                  .ok());
  EXPECT_EQ(left, (std::set<std::string>{"libdeep.so.1", "libkept.so.1", "liblinked.so.1",
                                         "libnss_dns.so.2", "libopened.so.1", "plug.so"}));
  const std::string cache = text_of(**tree, "etc/ld.so.cache");
  EXPECT_EQ(cache.find("libunused"), std::string::npos);
  EXPECT_NE(cache.find("libopened.so.1"), std::string::npos);
  EXPECT_EQ(make(lines, "b")->top.digest, result->top.digest);
}

TEST_F(LinksTest, AStrippedProgramRunsAndHasNoSymbols) {
  ASSERT_TRUE(
      write_file(path("say.c"), "#include <stdio.h>\nint main(void) { puts(\"said\"); }\n").ok());
  ASSERT_TRUE(run_tool({"gcc", "-g", "-o", path("say"), path("say.c")}).ok());
  const std::string whole = *read_file(path("say"));
  FileItem item;
  item.strip = true;
  Tree tree;
  ASSERT_TRUE(add_host_files(path("say"), "usr/bin/say", item, tree).ok());
  const std::string stripped = text_of(tree, "usr/bin/say");
  EXPECT_LT(stripped.size(), whole.size());
  ASSERT_TRUE(write_file(path("stripped"), stripped).ok());
  ASSERT_TRUE(run_tool({"chmod", "+x", path("stripped")}).ok());
  EXPECT_EQ(*run_tool({path("stripped")}), "said\n");
  EXPECT_EQ(run_tool({"readelf", "-SW", path("stripped")})->find(".symtab"), std::string::npos);
}

}  // namespace
}  // namespace tenon::image
