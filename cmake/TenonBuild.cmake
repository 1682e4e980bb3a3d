# Compiler settings and the two functions every folder uses: tenon_library and tenon_binary.

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

option(TENON_UNITY "Compile several sources as one, for a fast full build" ON)
set(TENON_SEPARATE "" CACHE STRING "Folders of tenon/ that are compiled file by file all the same: those worked on")
set(TENON_SANITIZE "" CACHE STRING "address,undefined or thread")
option(TENON_FUZZ "Build the libFuzzer targets of tests/fuzz too (clang)" OFF)
set(TENON_TEST_PREFIX "" CACHE STRING "Stands before the names of this build's tests")

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
target_compile_options(tenon_flags INTERFACE -Wall -Wextra -Werror -fPIC -fvisibility=hidden
  -ffile-prefix-map=${tenon_SOURCE_DIR}=. -ffile-prefix-map=${tenon_BINARY_DIR}=build
  -fno-semantic-interposition)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # False positives: on "a" + std::string in g++ 12; on anonymous namespaces in a unity chunk.
  target_compile_options(tenon_flags INTERFACE -Wno-restrict $<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>)
endif()
if(CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
  target_compile_options(tenon_flags INTERFACE -march=x86-64-v2)
endif()
if(TENON_SANITIZE)
  target_compile_options(tenon_flags INTERFACE -fsanitize=${TENON_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  if(TENON_SANITIZE MATCHES undefined)
    # Half of the time that this preset's compiler takes, for what AddressSanitizer finds as well.
    target_compile_options(tenon_flags INTERFACE -fno-sanitize=vptr,null,alignment,object-size)
  endif()
  # Their programs hold hundreds of megabytes of names and lines, which LLVM's linker writes in a fifth of ld's time.
  target_link_options(tenon_flags INTERFACE -fsanitize=${TENON_SANITIZE} -fuse-ld=lld)
endif()
if(TENON_SANITIZE STREQUAL "thread")
  # Under __SANITIZE_THREAD__ protobuf's map fields get two members (google/protobuf/map_field.h) that
  # Debian's libprotobuf, built without, does not have: messages of ours and its code disagree on the
  # layout. The instrumentation itself does not need the macro; libstdc++ wants its own.
  target_compile_options(tenon_flags INTERFACE -U__SANITIZE_THREAD__ -D_GLIBCXX_TSAN=1)
endif()
if(TENON_FUZZ)
  target_compile_options(tenon_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_link_options(tenon_flags INTERFACE -Wl,--build-id=none -Wl,--as-needed)

find_package(Threads REQUIRED)
find_package(absl REQUIRED)

# One precompiled header for the engine, one that also holds gtest; every target reuses one of them.
function(tenon_pch_target name)
  file(WRITE ${tenon_BINARY_DIR}/${name}.cc "")
  add_library(${name} STATIC ${tenon_BINARY_DIR}/${name}.cc)
  target_link_libraries(${name} PUBLIC tenon_flags absl::status absl::statusor)
  target_precompile_headers(${name} PRIVATE ${ARGN})
endfunction()
set(TENON_PCH <algorithm> <array> <atomic> <cmath> <cstdint> <cstring> <functional> <map> <memory>
  <mutex> <optional> <span> <string> <string_view> <utility> <variant> <vector>
  <absl/status/status.h> <absl/status/statusor.h>)
tenon_pch_target(tenon_pch ${TENON_PCH})
if(TENON_SANITIZE)
  tenon_pch_target(tenon_optimized_pch ${TENON_PCH})
  target_compile_options(tenon_optimized_pch PRIVATE -O1)
endif()
if(PROJECT_IS_TOP_LEVEL)
  find_package(GTest REQUIRED)
  tenon_pch_target(tenon_test_pch ${TENON_PCH} <gtest/gtest.h>)
  # What tests do themselves is quick; their code is not optimised, which a fifth of the release build's time went into.
  target_compile_options(tenon_test_pch PRIVATE -O0)
  target_link_libraries(tenon_test_pch PUBLIC GTest::gtest)
endif()

set(TENON_TEST_ENVIRONMENT)
if(TENON_SANITIZE MATCHES address)
  list(APPEND TENON_TEST_ENVIRONMENT ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:allocator_may_return_null=1
       UBSAN_OPTIONS=print_stacktrace=1)
elseif(TENON_SANITIZE STREQUAL "thread")
  # ThreadSanitizer cannot see the locks inside gRPC, abseil and protobuf: what these libraries
  # themselves write by way of libc is left out. What our code does on their threads is
  # not, so that no suppression is needed (race:LIBRARY would hide every race on a thread that the
  # library has started).
  list(APPEND TENON_TEST_ENVIRONMENT TSAN_OPTIONS=ignore_noninstrumented_modules=1:second_deadlock_stack=1)
endif()

# tenon_unit_test(<name> <target> [<variable>=<value> ...]): runs a gtest binary as the test <name>,
# labelled `unit`, in a sanitizer preset as the test <preset>.<name>, labelled by the preset.
function(tenon_unit_test name target)
  set(test ${TENON_TEST_PREFIX}${name})
  set(environment ${TENON_TEST_ENVIRONMENT} ${ARGN})
  set(label unit)
  if(TENON_TEST_PREFIX)
    string(REPLACE "." "" label ${TENON_TEST_PREFIX})
  endif()
  add_test(NAME ${test} COMMAND ${target})
  set_tests_properties(${test} PROPERTIES LABELS ${label} TIMEOUT 1800
                       ENVIRONMENT "${environment}")
endfunction()

# All test binaries of this build.
add_custom_target(unit_tests)

# What ThreadSanitizer tests: the folders that start threads or are called by several. What the others
# compute is the same on one thread, and their tests take the longest to compile.
set(TENON_THREADED_FOLDERS base kernels runtime data observe dist keras serving)

# How a sanitizer's build compiles a folder that it optimises. Kernels leave out the coverage that fuzzers of files follow,
# for which they need a precompiled header of their own, and check addresses by calls: with the checks in line a file of
# loops over registers takes clang++ 14 six minutes.
function(tenon_optimize_sanitized folder)
  target_compile_options(tenon_${folder} PRIVATE -O1)
  if(NOT folder STREQUAL kernels OR NOT TENON_FUZZ)
    target_precompile_headers(tenon_${folder} REUSE_FROM tenon_optimized_pch)
    return()
  endif()
  target_precompile_headers(tenon_kernels PRIVATE ${TENON_PCH})
  target_compile_options(tenon_kernels PRIVATE -fno-sanitize=fuzzer-no-link
                         "SHELL:-mllvm -asan-instrumentation-with-call-threshold=0")
  list(FILTER ARGN INCLUDE REGEX "_simd\\.cc$")
  set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS -fno-sanitize=undefined)
endfunction()

# tenon_library(<folder> DEPS <targets> [TEST_DEPS <targets>])
# Builds every .cc of tenon/<folder> (below it too) as tenon_<folder>, and its *_test.cc as
# test_<folder>. Files named *_simd.cc (Highway's foreach_target) never join a unity chunk.
function(tenon_library folder)
  cmake_parse_arguments(ARG "" "" "DEPS;TEST_DEPS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}
       ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  list(SORT sources)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(TRANSFORM sources PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  add_library(tenon_${folder} STATIC ${sources})
  target_link_libraries(tenon_${folder} ${TENON_FLAGS_SCOPE} $<BUILD_INTERFACE:tenon_flags>)
  target_link_libraries(tenon_${folder} PUBLIC tenon_include absl::status absl::statusor ${ARG_DEPS})
  if(TENON_SANITIZE AND folder IN_LIST TENON_OPTIMIZED_UNDER_SANITIZERS)
    tenon_optimize_sanitized(${folder} ${sources})
  else()
    target_precompile_headers(tenon_${folder} REUSE_FROM tenon_pch)
  endif()
  set(unity ${TENON_UNITY})
  if(folder IN_LIST TENON_SEPARATE)
    set(unity OFF)
  endif()
  if(unity)
    set_target_properties(tenon_${folder} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
    foreach(source ${sources})
      if(source MATCHES "_simd\\.cc$|_pb\\.cc$")
        set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
      endif()
    endforeach()
  endif()
  if(tests AND PROJECT_IS_TOP_LEVEL)
    add_executable(test_${folder} ${tests})
    target_link_libraries(test_${folder} PRIVATE tenon_${folder} ${ARG_TEST_DEPS} GTest::gtest
                          GTest::gtest_main Threads::Threads)
    target_precompile_headers(test_${folder} REUSE_FROM tenon_test_pch)
    target_compile_options(test_${folder} PRIVATE -O0)
    if(unity)
      set_target_properties(test_${folder} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
    endif()
    target_compile_definitions(test_${folder} PRIVATE
      TENON_SOURCE_DIR="${tenon_SOURCE_DIR}" TENON_BINARY_DIR="${tenon_BINARY_DIR}")
    if(TENON_SANITIZE STREQUAL "thread" AND NOT folder IN_LIST TENON_THREADED_FOLDERS)
      return()
    endif()
    set(chosen)
    if(TENON_SANITIZE STREQUAL "thread" AND folder STREQUAL kernels)
      set(chosen GTEST_FILTER=*Team*)  # of the kernels' tests, those that vary the team
    endif()
    tenon_unit_test(${folder} test_${folder} ${chosen})
    add_dependencies(unit_tests test_${folder})
  endif()
endfunction()
