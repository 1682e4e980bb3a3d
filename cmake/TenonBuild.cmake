# How folders are built and tested: tenon_library and tenon_unit_test.

include(TenonFlags)

option(TENON_UNITY "Compile several sources as one, for a fast full build" ON)
# 32 sources a chunk take 0.7 of the compiler's time that 8 take (docs/architecture.md, "Build").
set(TENON_UNITY_BATCH 32 CACHE STRING "How many sources of a folder are compiled as one")
set(TENON_SEPARATE "" CACHE STRING "Folders of tenon/ that are compiled file by file all the same: those worked on")
set(TENON_TEST_PREFIX "" CACHE STRING "Stands before the names of this build's tests")

find_package(absl REQUIRED)

# One precompiled header for the engine, one that also holds gtest; every target reuses one of them.
function(tenon_pch_target name)
  file(WRITE ${tenon_BINARY_DIR}/${name}.cc "")
  add_library(${name} STATIC ${tenon_BINARY_DIR}/${name}.cc)
  target_link_libraries(${name} PUBLIC tenon_flags absl::status absl::statusor)
  target_precompile_headers(${name} PRIVATE ${ARGN})
endfunction()
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

# What tests know as TENON_SANITIZED: 1 where a step takes ten times as long.
set(TENON_SANITIZED 0)
if(TENON_SANITIZE)
  set(TENON_SANITIZED 1)
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
# Where only some of a folder's tests do: those that vary the team; all but what reads files on one thread.
set(TENON_THREADED_TESTS_OF_kernels *Team*)
set(TENON_THREADED_TESTS_OF_keras -Hostile*:LargeNetwork.*:LayerCases.*)

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
  set_property(TARGET tenon_kernels PROPERTY TENON_NO_COVERAGE ON)
  target_compile_options(tenon_kernels PRIVATE "SHELL:-mllvm -asan-instrumentation-with-call-threshold=0")
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
    set_target_properties(tenon_${folder} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${TENON_UNITY_BATCH})
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
      set_target_properties(test_${folder} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${TENON_UNITY_BATCH})
    endif()
    target_compile_definitions(test_${folder} PRIVATE
      TENON_SOURCE_DIR="${tenon_SOURCE_DIR}" TENON_BINARY_DIR="${tenon_BINARY_DIR}"
      TENON_SANITIZED=${TENON_SANITIZED})
    if(TENON_SANITIZE STREQUAL "thread" AND NOT folder IN_LIST TENON_THREADED_FOLDERS)
      return()
    endif()
    set(chosen)
    if(TENON_SANITIZE STREQUAL "thread" AND TENON_THREADED_TESTS_OF_${folder})
      set(chosen GTEST_FILTER=${TENON_THREADED_TESTS_OF_${folder}})
    endif()
    tenon_unit_test(${folder} test_${folder} ${chosen})
    add_dependencies(unit_tests test_${folder})
  endif()
endfunction()
