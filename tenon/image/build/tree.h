// The files of an image, in memory by name and on disk by content. A tree is one layer over
// another; nothing is ever written to the host's file system through a path of it.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "tenon/base/function_ref.h"
#include "tenon/image/archive/tar.h"

namespace tenon::image {

struct TreeNode {
  EntryType type = EntryType::kFile;
  uint32_t mode = 0644;
  uint64_t uid = 0, gid = 0;
  std::string link;    // symbolic: the target as written; hard: a path of this layer
  std::string origin;  // package or declaration item, for messages
  // Content of a file: bytes in `text`, or `size` bytes of `spool` from `offset`, or of the host
  // file `host_path`.
  uint64_t size = 0;
  std::string text;
  std::shared_ptr<const SpoolFile> spool;
  uint64_t offset = 0;
  std::string host_path;
  std::string sha256;  // of the content, where a reader has computed it
  int64_t mtime = 0;   // as read from an image; not written
};

class Tree {
 public:
  // `below`: the layers under this one, or null; it must outlive the tree.
  explicit Tree(const Tree* below = nullptr) : below_(below) {}

  const std::map<std::string, TreeNode>& nodes() const { return nodes_; }

  // By path, relative and normalised, in this layer and below; null when there is none. Links on
  // the way are not followed.
  const TreeNode* find(std::string_view path) const;

  // `path` with links in its folders followed, the last part too when `follow_last`; empty when a
  // link leads out, in circles, or nowhere.
  std::string resolve(std::string_view path, bool follow_last = true) const;

  // Whether a folder stands at `path`, usrmerge's links followed.
  bool has_folder(std::string_view path) const;

  // Adds a node. A folder over a folder keeps the first attributes; equal files are one; a node in
  // the place of another is ALREADY_EXISTS and names both origins, unless `replace`; so is, always,
  // another thing in the place of a folder, whose content it would hide. A path that
  // goes through a link is put where the link leads when the link is one of usrmerge's
  // (bin, sbin, lib*), and is INVALID_ARGUMENT otherwise.
  Status add(std::string_view path, TreeNode node, bool replace = false);

  // Puts a node at exactly `path`, over what stands there, as applying an image's layer does.
  void put(std::string path, TreeNode node);

  Status add_text(std::string_view path, std::string text, uint32_t mode = 0644);
  Status add_link(std::string_view path, std::string target);
  Status add_folder(std::string_view path, uint32_t mode = 0755, uint64_t uid = 0,
                    uint64_t gid = 0);
  void remove(std::string_view path);  // with everything under it

  // Adds "bin -> usr/bin" and the like for `debian_architecture`.
  Status add_usrmerge_links(std::string_view debian_architecture);

  // Paths of this layer and below, sorted: visit(path, node).
  Status for_each(FunctionRef<Status(const std::string&, const TreeNode&)> visit) const;

 private:
  std::map<std::string, TreeNode> nodes_;
  const Tree* below_;
};

// Content of a file node. `read(offset, out)` of a range inside [0, size).
Status read_content(const TreeNode& node, uint64_t offset, std::span<char> out);
StatusOr<std::string> read_text(const TreeNode& node, uint64_t limit);
// Whole content into `sink`.
Status copy_content(const TreeNode& node, ByteSink& sink);

// Writes the nodes of this layer as a tar: sorted, with the folders that lead to them, every time
// `mtime`. Of hard links the first name holds the content.
Status write_layer_tar(const Tree& tree, int64_t mtime, ByteSink& sink);

// '*' matches within one path component, '**' across them.
bool glob_matches(std::string_view pattern, std::string_view path);

// Whether the last of the patterns that matches leaves the path out: "!PATTERN" keeps it.
bool excluded(const std::vector<std::string>& patterns, std::string_view path);

}  // namespace tenon::image
