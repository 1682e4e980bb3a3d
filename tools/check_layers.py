#!/usr/bin/env python3
"""Checks the rules that keep the house in order (docs/architecture.md, "Layers").

    tools/check_layers.py               checks this repository; prints PATH:LINE: RULE: what is wrong
    tools/check_layers.py --self-test   proves of each rule that it can fail

A rule is a row of RULES: a function from a Tree to findings, and an example that must fail.
"""
import argparse
import os
import posixpath
import re
import subprocess
import sys

# A folder of tenon/ includes only from rows above its own; folders of one row never include each other.
LAYERS = [
    ["base"],
    ["core", "proto"],
    ["kernels", "io", "graph", "net"],
    ["passes", "ops"],
    ["runtime"],
    ["saved_model", "data", "observe", "dist"],
    ["keras"],
    ["serving", "prototext", "lite", "image"],
    ["cli"],
]
LEVEL = {folder: level for level, row in enumerate(LAYERS) for folder in row}
NARROWER = {"image": {"base", "io", "net"}, "net": {"base"}}  # may include less than its row allows
PROTOBUF_FOLDERS = {"proto", "prototext", "serving"}  # the engine lives beside another protobuf

CODE = (".cc", ".h", ".cu", ".cuh")
SCRIPTS = (".py", ".sh", ".cmake", "CMakeLists.txt", "/dev", "/run")
INLINE = ("-inl.h", "_inl.h")  # included once for each of Highway's targets
MAX_LINES = 500
MAX_FILES = 50
INCLUDE = re.compile(r'^\s*#\s*include\s+(<[^>]+>|"[^"]+")')


class Tree:
    """The files of a repository: path to text. Paths start with '/', the root of the repository."""

    def __init__(self, files):
        self.files = files
        self.includes = {path: list(self._includes(text)) for path, text in files.items() if path.endswith(CODE)}

    @staticmethod
    def of(root):
        names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, check=True,
                               capture_output=True, text=True).stdout.splitlines()
        files = {}
        for name in names:
            path = os.path.join(root, name)
            if os.path.isfile(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    files["/" + name] = f.read()
        return Tree(files)

    @staticmethod
    def _includes(text):
        for number, line in enumerate(text.splitlines(), 1):
            match = INCLUDE.match(line)
            if match:
                yield number, match[1][1:-1], match[1][0] == "<"

    def code(self, under="/"):
        return ((path, self.files[path]) for path in sorted(self.includes) if path.startswith(under))


def folder_of(path):
    parts = path.split("/")
    return parts[2] if len(parts) > 3 and parts[1] == "tenon" else None


def is_test(path):
    return path.endswith("_test.cc")


def is_header(path):
    return path.endswith((".h", ".cuh"))


def may_use(path, other):
    """Whether a file of tenon/<folder> may include from tenon/<other>."""
    own = folder_of(path)
    if other == own:
        return True
    if own in NARROWER:
        return other in NARROWER[own]
    if other == "proto" and own not in PROTOBUF_FOLDERS:
        return False
    return LEVEL[other] < LEVEL[own]


def layers(tree):
    """Tests may include from anywhere: nothing includes a test."""
    for path in tree.includes:
        own = folder_of(path)
        if own is None or is_test(path):
            continue
        if own not in LEVEL:
            yield path, 1, f"tenon/{own} is not a folder of LAYERS"
            continue
        for line, name, _ in tree.includes[path]:
            other = folder_of("/" + name)
            if other in LEVEL and not may_use(path, other):
                yield path, line, f"tenon/{own} may not include from tenon/{other}"


def python_border(tree):
    """The extension module is over the engine alone, and only it uses nanobind."""
    for path in tree.includes:
        inside = path.startswith("/python/")
        for line, name, _ in tree.includes[path]:
            if not inside and re.match(r"nanobind/|Python\.h", name):
                yield path, line, "nanobind is for python/native"
            other = folder_of("/" + name)
            if inside and (other == "proto" or LEVEL.get(other, 0) > LEVEL["keras"]):
                yield path, line, f"python/ may not include from tenon/{other}"


def linked_python(tree):
    text = re.sub(r"#.*", "", tree.files.get("/python/CMakeLists.txt", ""))
    for other in re.findall(r"\btenon_([a-z]+)", text):
        if other == "proto" or LEVEL.get(other, 0) > LEVEL["keras"]:
            yield "/python/CMakeLists.txt", 1, f"python/ may not link tenon_{other}"


def linked_layers(tree):
    for path, text in tree.files.items():
        own = folder_of(path)
        if own not in LEVEL or not path.endswith("/CMakeLists.txt"):
            continue
        for call in re.finditer(r"tenon_library\([^)]*\)", re.sub(r"#.*", "", text)):
            for other in re.findall(r"\btenon_([a-z_]+)", call[0].split("TEST_DEPS")[0]):
                other = "proto" if other == "proto_grpc" else other
                if other in LEVEL and not may_use(path, other):
                    yield path, text[:call.start()].count("\n") + 1, f"tenon/{own} may not link tenon_{other}"


def include_paths(tree):
    """Quoted includes are paths from the root, or another library's (`"absl/status/status.h"`)."""
    ours = {path.split("/")[1] for path in tree.files}
    generated = " ".join(text for path, text in tree.files.items() if path.endswith(("CMakeLists.txt", ".cmake")))
    for path in tree.includes:
        for line, name, angled in tree.includes[path]:
            if angled or name.endswith(".pb.h") or "/" + name in tree.files or name in generated:
                continue
            beside = posixpath.join(posixpath.dirname(path), name)
            if name.split("/")[0] in ours or beside in tree.files or name.startswith("."):
                yield path, line, f'"{name}" is not a path from the root of the repository'


def plugin_border(tree):
    for path in tree.includes:
        inside = path.startswith("/plugins/") or posixpath.dirname(path) == "/tenon"
        for line, name, _ in tree.includes[path]:
            if inside and name.startswith("tenon/") and not re.fullmatch(r"tenon/plugin\w*\.h", name):
                yield path, line, "a plug-in sees tenon/plugin*.h alone"


def only_in(pattern, allowed, what):
    """A rule: includes that match `pattern` stand only in files whose path matches `allowed`."""
    pattern, allowed = re.compile(pattern), re.compile(allowed)

    def rule(tree):
        for path in tree.includes:
            for line, name, _ in tree.includes[path]:
                if pattern.match(name) and not allowed.search(path):
                    yield path, line, what
    return rule


HEAVY = re.compile(r"(regex|iostream|nlohmann/.*|httplib\.h|google/protobuf/.*|grpc.*|rapidjson/.*|dnnl.*|oneapi/.*|"
                   r"openssl/.*|hdf5.*|event2?/.*|re2/.*|zlib\.h|zstd\.h|lzma\.h|snappy.*|"
                   r"double-conversion/.*|fast_float/.*)")
TESTING = re.compile(r"(gtest|gmock|benchmark)/.*")


def light_headers(tree):
    for path in tree.includes:
        if not is_header(path):
            continue
        for line, name, _ in tree.includes[path]:
            inline = path.endswith(INLINE) and name.startswith("hwy/")
            if HEAVY.fullmatch(name) or (name.startswith("hwy/") and not inline):
                yield path, line, f"<{name}> is for .cc files"
            elif TESTING.fullmatch(name) and path.startswith("/tenon/") and "test" not in posixpath.basename(path):
                yield path, line, f"<{name}> is for tests"


def words(pattern, what, kinds=CODE, under="/", except_in=None):
    """A rule: no line of the files of these kinds below `under` matches `pattern`."""
    pattern = re.compile(pattern)
    except_in = re.compile(except_in) if except_in else None

    def rule(tree):
        for path, text in tree.files.items():
            if not path.startswith(under) or not path.endswith(kinds) or (except_in and except_in.search(path)):
                continue
            for number, line in enumerate(text.splitlines(), 1):
                if pattern.search(line):
                    yield path, number, what
    return rule


def short_files(tree):
    for path, text in tree.files.items():
        count = text.count("\n")
        if path.endswith(CODE + SCRIPTS + (".proto",)) and count >= MAX_LINES:
            yield path, count, f"{count} lines; a file has fewer than {MAX_LINES}"


def small_folders(tree):
    counts = {}
    for path in tree.files:
        folder = posixpath.dirname(path)
        counts[folder] = counts.get(folder, 0) + 1
    for folder, count in counts.items():
        if count >= MAX_FILES and "testdata" not in folder:
            yield folder, 1, f"{count} files; a folder has fewer than {MAX_FILES}, split by meaning"


def header_shape(tree):
    for path, text in tree.code():
        if not is_header(path):
            continue
        if "#pragma once" not in text and not path.endswith(INLINE):
            yield path, 1, "a header has #pragma once"
        if not text.startswith("//"):
            yield path, 1, "a header opens with a comment that says what it promises"


ONEDNN = only_in(r"(dnnl|oneapi/dnnl)", r"^/benchmarks/\w+\.cc$", "oneDNN is the peer of benchmarks")
# Tests too: there protobuf is the other reader of what we write.
PROTOBUF_FILES = r"^/(tenon/(prototext|serving)/.*_pb|(tenon|tests)/.*_test|(tests|examples)/.*(_pb|(^|[/_])(rpc|grpc)(_\w+)?))\.cc$"
LATER = "|".join(["TO" + "DO", "FIX" + "ME", r"\bXX" + r"X\b", r"\bHA" + r"CK\b", "[Ff]or " + "now", "not implemented " + "yet"])
SKIPPED = "|".join(["GTEST_" + r"SKIP\(\)\s*;", r"\bDIS" + "ABLED_"])
HOSTS = r"(docker\.io|ghcr\.io|quay\.io|gcr\.io|pypi\.org|pythonhosted\.org|deb\.debian\.org|registry\.npmjs)"
ALL_TEXT = CODE + SCRIPTS

# name, rule, an example of files that break it
RULES = [
    ("layers", layers, {"/tenon/core/a.cc": '#include "tenon/graph/graph.h"\n', "/tenon/graph/graph.h": "// x\n#pragma once\n"}),
    ("layers", layers, {"/tenon/image/a.cc": '#include "tenon/core/a.h"\n', "/tenon/core/a.h": "// x\n#pragma once\n"}),
    ("layers", layers, {"/tenon/io/a.h": '// x\n#pragma once\n#include "tenon/graph/b.h"\n', "/tenon/graph/b.h": "// x\n#pragma once\n"}),
    ("layers", layers, {"/tenon/elsewhere/a.cc": "int x;\n"}),
    ("links", linked_layers, {"/tenon/io/CMakeLists.txt": "tenon_library(io DEPS\n  tenon_graph TEST_DEPS tenon_cli)\n"}),
    ("links", linked_layers, {"/tenon/core/CMakeLists.txt": "tenon_library(core DEPS tenon_runtime)\n"}),
    ("links", linked_layers, {"/tenon/keras/CMakeLists.txt": "tenon_library(keras DEPS tenon_runtime tenon_proto)\n"}),
    ("python-border", python_border, {"/python/native/a.cc": '#include "tenon/serving/a.h"\n', "/tenon/serving/a.h": "// x\n#pragma once\n"}),
    ("python-border", python_border, {"/tenon/keras/a.cc": "#include <nanobind/nanobind.h>\n"}),
    ("python-border", linked_python, {"/python/CMakeLists.txt": "target_link_libraries(_tenon PRIVATE tenon_cli)\n"}),
    ("include-path", include_paths, {"/tenon/core/a.cc": '#include "shape.h"\n', "/tenon/core/shape.h": "// x\n#pragma once\n"}),
    ("plugin-border", plugin_border, {"/plugins/x/a.cc": '#include "tenon/core/a.h"\n', "/tenon/core/a.h": "// x\n#pragma once\n"}),
    ("onednn", ONEDNN, {"/tenon/kernels/a.cc": "#include <dnnl.hpp>\n"}),
    ("highway", only_in(r"hwy/", r"^/tenon/kernels/.*(\.cc|[-_]inl\.h)$", "Highway is for kernels/*.cc"),
     {"/tenon/ops/a.cc": "#include <hwy/highway.h>\n"}),
    ("protobuf", only_in(r"(google/protobuf/|.*\.pb\.h$)", PROTOBUF_FILES, "protobuf is for *_pb.cc of prototext and serving, and for tests"),
     {"/tenon/graph/graph_def_pb.cc": '#include "tensorflow/core/framework/graph.pb.h"\n'}),
    ("grpc", only_in(r"grpc", PROTOBUF_FILES, "gRPC is for RPC files"), {"/tenon/serving/a.cc": "#include <grpcpp/grpcpp.h>\n"}),
    ("openmp", words(r"#\s*pragma\s+omp\b", "parallel_for (tenon/base/parallel.h) instead"),
     {"/tenon/kernels/a.cc": "#pragma omp parallel\n"}),
    ("light-headers", light_headers, {"/tenon/base/a.h": "// x\n#pragma once\n#include <regex>\n"}),
    ("light-headers", light_headers, {"/tenon/base/a.h": "// x\n#pragma once\n#include <gtest/gtest.h>\n"}),
    ("header-shape", header_shape, {"/tenon/base/a.h": "// x\nint x;\n"}),
    ("header-shape", header_shape, {"/tenon/base/a.h": "#pragma once\n"}),
    ("using-namespace", words(r"^\s*using namespace\b(?!.*literals;)", "names stay in their namespace"), {"/tenon/base/a.cc": "using namespace std;\n"}),
    ("absl-strings", words(r"absl::(StrCat|StrJoin|StrFormat|Mutex)\b", "tenon/base/strings.h and std::mutex instead", under="/tenon/"),
     {"/tenon/base/a.cc": "auto x = absl::StrCat(1);\n"}),
    ("composition-root", words(r"^(?!\s*//).*\bregister_all_ops\b", "only cli/, the C interface and tenon-lite register the ops", under="/tenon/",
                               except_in=r"^/tenon/(ops|cli)/|^/tenon/lite/(c_api|program/main)\.cc$|_test\.cc$"),
     {"/tenon/runtime/a.cc": "register_all_ops();\n"}),
    ("march", words(r"-march=native", "the baseline is x86-64-v2; above it, dispatch", kinds=ALL_TEXT, except_in=r"check_layers\.py$"),
     {"/cmake/a.cmake": "add_compile_options(-march=native)\n"}),
    ("later", words(LATER, "do it, or say in the issue that it is not done", kinds=ALL_TEXT), {"/tenon/base/a.cc": "// " + "TO" + "DO: more\n"}),
    ("skipped", words(SKIPPED, "a test runs, is deleted, or says on which machine it cannot run", kinds=CODE), {"/tenon/base/a_test.cc": "GTEST_" + "SKIP();\n"}),
    ("hosts", words(HOSTS, "the machine's settings say where packages come from", kinds=ALL_TEXT + (".txt", ".in", ".json"),
                    except_in=r"^/(tenon/image|tests/image|docs)/|check_layers\.py$"),
     {"/deps/python.in": "--index-url https://pypi.org/simple\n"}),
    ("file-length", short_files, {"/tenon/base/a.cc": "\n" * MAX_LINES}),
    ("folder-size", small_folders, {f"/tenon/ops/math/{i}.cc": "" for i in range(MAX_FILES)}),
]

# What the rules must not object to.
GOOD = {
    "/tenon/base/a.h": "// A.\n#pragma once\n#include <vector>\n",
    "/tenon/core/a.cc": '#include "tenon/base/a.h"\n',
    "/tenon/io/npz.h": "// B.\n#pragma once\n",
    "/tenon/kernels/a_test.cc": '#include <gtest/gtest.h>\n#include "tenon/io/npz.h"\n',
    "/tenon/kernels/b-inl.h": "// E.\n#include <hwy/highway.h>\n",
    "/tenon/io/CMakeLists.txt": "tenon_library(io DEPS tenon_core TEST_DEPS tenon_cli)\n",
    "/tenon/kernels/a.cc": "#include <hwy/highway.h>\n",
    "/benchmarks/a_bench.cc": "#include <dnnl.hpp>\n",
    "/tenon/prototext/graph_pb.cc": '#include "tensorflow/core/framework/graph.pb.h"\n',
    "/tenon/graph/graph_view_pb_test.cc": '#include "tensorflow/core/framework/graph.pb.h"\n',
    "/tenon/serving/grpc_server_pb.cc": '#include <grpcpp/grpcpp.h>\n#include "tenon/proto/predict.grpc.pb.h"\n',
    "/tenon/core/CMakeLists.txt": "tenon_library(core DEPS tenon_base TEST_DEPS tenon_proto)\n",
    "/tenon/serving/CMakeLists.txt": "tenon_library(serving DEPS tenon_proto tenon_proto_grpc)\n",
    "/plugins/x/a.cc": '#include "tenon/plugin.h"\n',
    "/tenon/plugin.h": "// C.\n#pragma once\n#include <stdint.h>\n",
}


def check(tree):
    seen = []
    for name, rule, _ in RULES:
        if rule in seen:
            continue
        seen.append(rule)
        for path, line, what in rule(tree):
            yield f"{path.lstrip('/')}:{line}: {name}: {what}"


def self_test():
    failures = [f"the good example breaks a rule: {finding}" for finding in check(Tree(GOOD))]
    for name, rule, example in RULES:
        if not list(rule(Tree(example))):
            failures.append(f"{name} does not find its example {sorted(example)[0]}")
    print("\n".join(failures) or f"each of {len(RULES)} examples is found")
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    tree = Tree.of(options.root)
    findings = list(check(tree))
    print("\n".join(findings) or f"{len(tree.files)} files keep the rules")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
