# Compiler settings of every build of this tree: the language, the flags (tenon_flags), threads.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${tenon_BINARY_DIR})
endif()
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

set(TENON_SANITIZE "" CACHE STRING "address,undefined or thread")
option(TENON_FUZZ "Build the libFuzzer targets of tests/fuzz too (clang)" OFF)

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${tenon_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()

# -O2 alone does not vectorise a loop of unknown length in g++ 12 (docs/architecture.md, "Build").
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -fvect-cost-model=dynamic -DNDEBUG")
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
endif()
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")
# A sanitizer's build waits for its compiler more than for what it compiles: only the folders that all tests spend their
# time in are optimised (docs/architecture.md, "Tests").
set(CMAKE_CXX_FLAGS_SANITIZE "-O0 -g1")
set(TENON_OPTIMIZED_UNDER_SANITIZERS base core graph kernels passes runtime saved_model)

# Where headers are: what a user of the library needs of this. The flags are those of this tree alone.
add_library(tenon_include INTERFACE)
target_include_directories(tenon_include INTERFACE $<BUILD_INTERFACE:${tenon_SOURCE_DIR}>
  $<BUILD_INTERFACE:${tenon_BINARY_DIR}/generated> $<INSTALL_INTERFACE:include>)
target_compile_features(tenon_include INTERFACE cxx_std_20)
add_library(tenon_flags INTERFACE)
target_link_libraries(tenon_flags INTERFACE tenon_include)
set(TENON_FLAGS_SCOPE PUBLIC)
if(NOT PROJECT_IS_TOP_LEVEL)
  set(TENON_FLAGS_SCOPE PRIVATE)
endif()
# -fPIC: the archives become a part of Python's extension module too. With hidden names and the linker's
# relaxations the program's code is the same but for a few reads of thread-local and library data.
option(TENON_WARNINGS_AS_ERRORS "OFF for compilers that are not tried here" ON)
if(TENON_WARNINGS_AS_ERRORS)
  target_compile_options(tenon_flags INTERFACE -Werror)
endif()
target_compile_options(tenon_flags INTERFACE -Wall -Wextra -fPIC -fvisibility=hidden
  -ffile-prefix-map=${tenon_SOURCE_DIR}=. -ffile-prefix-map=${tenon_BINARY_DIR}=build
  -fno-semantic-interposition)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # False positives: on "a" + std::string in g++ 12; on anonymous namespaces in a unity chunk.
  target_compile_options(tenon_flags INTERFACE -Wno-restrict $<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>)
endif()
if(CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
  target_compile_options(tenon_flags INTERFACE -march=x86-64-v2)
endif()
# Targets may set TENON_UNSANITIZED (code of others, that a sanitizer's build holds as it is) and TENON_NO_COVERAGE (code
# that the fuzzers of files need not follow). By properties, because a target's own options stand before these.
if(TENON_SANITIZE)
  set(checks -fsanitize=${TENON_SANITIZE} -fno-sanitize-recover=all)
  if(TENON_SANITIZE MATCHES undefined)
    # Half of the time that this preset's compiler takes, for what AddressSanitizer finds as well.
    list(APPEND checks -fno-sanitize=vptr,null,alignment,object-size)
  endif()
  target_compile_options(tenon_flags INTERFACE -fno-omit-frame-pointer
    "$<$<NOT:$<BOOL:$<TARGET_PROPERTY:TENON_UNSANITIZED>>>:${checks}>")
  # Their programs hold hundreds of megabytes of names and lines, which LLVM's linker writes in a fifth of ld's time.
  target_link_options(tenon_flags INTERFACE -fsanitize=${TENON_SANITIZE} -fuse-ld=lld)
endif()
if(TENON_FUZZ)
  set(without $<OR:$<BOOL:$<TARGET_PROPERTY:TENON_UNSANITIZED>>,$<BOOL:$<TARGET_PROPERTY:TENON_NO_COVERAGE>>>)
  target_compile_options(tenon_flags INTERFACE $<$<NOT:${without}>:-fsanitize=fuzzer-no-link>)
endif()
if(NOT APPLE)
  target_link_options(tenon_flags INTERFACE -Wl,--build-id=none -Wl,--as-needed)
endif()

find_package(Threads REQUIRED)

# What a precompiled header of the engine holds.
set(TENON_PCH <algorithm> <array> <atomic> <cmath> <cstdint> <cstring> <functional> <map> <memory>
  <mutex> <optional> <span> <string> <string_view> <utility> <variant> <vector>
  <absl/status/status.h> <absl/status/statusor.h>)
