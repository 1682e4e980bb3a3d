#include "tenon/image/declaration.h"

#include "tenon/image/build/tree.h"

namespace tenon::image {
namespace {

TEST(Declarations, TheShippedOnesAreValid) {
  const auto names = shipped_declarations();
  EXPECT_EQ(names, (std::vector<std::string>{"devel", "jupyter", "python", "runtime", "train"}));
  for (const std::string& name : names) {
    const auto declaration = load_declaration(name);
    EXPECT_TRUE(declaration.ok()) << declaration.status();
  }
}

TEST(Declarations, ErrorsGiveLineAndKnownKeys) {
  const auto status =
      parse_declaration("name: x\nfiles:\n  - {path: /a, contents: b}\n", "x.yaml", "").status();
  EXPECT_TRUE(message_of(status).starts_with("x.yaml line 3: ")) << status;
  EXPECT_FALSE(parse_declaration("name: x\nfiles: [{path: ../a, content: b}]\n", "x", "").ok());
  EXPECT_FALSE(parse_declaration("a: &x b\nname: *x\n", "x", "").ok());
  EXPECT_FALSE(parse_declaration("name: x\nname: y\n", "x", "").ok());
  EXPECT_FALSE(parse_declaration(std::string(3000, '['), "x", "").ok());
}

TEST(Glob, StarsStayWithinComponentsDoubleStarsDoNot) {
  EXPECT_TRUE(glob_matches("usr/share/man/**", "usr/share/man/man1/x.1.gz"));
  EXPECT_TRUE(
      glob_matches("usr/share/doc/*/changelog*", "usr/share/doc/libc6/changelog.Debian.gz"));
  EXPECT_FALSE(glob_matches("usr/share/doc/*/changelog*", "usr/share/doc/a/b/changelog"));
  EXPECT_FALSE(glob_matches("usr/*", "usr/a/b"));
  EXPECT_TRUE(glob_matches("**/x", "a/b/x"));
  EXPECT_FALSE(glob_matches("a", "ab"));
  const std::vector<std::string> all_but_one = {"a/**", "!a/b*", "a/bc"};
  EXPECT_TRUE(excluded(all_but_one, "a/c"));
  EXPECT_FALSE(excluded(all_but_one, "a/b"));
  EXPECT_TRUE(excluded(all_but_one, "a/bc"));
  EXPECT_FALSE(excluded(all_but_one, "b"));
}

}  // namespace
}  // namespace tenon::image
