# The build of TENON_LITE: what reads and runs `.tflite` and nothing else, as libtenon_lite.a and the program tenon-lite
# (docs/lite.md, "Small machines"). No library but the C++ one is linked: base/small_status stands in for Abseil, Highway
# and flatbuffers are headers.
include(TenonFlags)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${tenon_BINARY_DIR})

# A cross compiler (`cmake --preset lite --toolchain FILE`) does not look into the folders of this machine's headers: links
# to these two stand in the build folder.
set(generated ${tenon_BINARY_DIR}/generated)
set(headers ${tenon_BINARY_DIR}/headers)
file(MAKE_DIRECTORY ${headers})
foreach(library hwy flatbuffers)
  find_path(${library}_folder ${library} PATHS /usr/include NO_CMAKE_FIND_ROOT_PATH REQUIRED)
  file(CREATE_LINK ${${library}_folder}/${library} ${headers}/${library} SYMBOLIC)
endforeach()

include(${tenon_SOURCE_DIR}/tenon/lite/schema.cmake)

# Without what reads GraphDefs and SavedModels, writes anything, trains or loads plug-ins.
set(left_out
  "_test\\.cc$"
  "/core/operator_new\\.cc$"
  "/kernels/(optimizer|simd/optimizer_simd)\\.cc$"
  "/graph/(all_reduce|body_importer|export|gradient|import)[a-z_]*\\.cc$"
  "/graph/(control_flow_v1/|messages/(attr_message|function_def_writer|graph_view))"
  "/runtime/plugin/"
  "/lite/(writer/|program/|lite\\.cc$)")
list(JOIN left_out "|" left_out)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
execute_process(COMMAND ${Python3_EXECUTABLE} ${tenon_SOURCE_DIR}/tools/lite_ops.py
  OUTPUT_VARIABLE ops COMMAND_ERROR_IS_FATAL ANY)
string(JSON op_sources GET "${ops}" sources)
string(JSON op_names GET "${ops}" names)

# Unity chunks do not cross folders; Highway's files never join one.
add_library(tenon_lite STATIC)
foreach(folder base core kernels graph passes runtime lite ops)
  if(folder STREQUAL "ops")
    set(sources ${op_sources})
  else()
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${tenon_SOURCE_DIR}/tenon/${folder}/*.cc)
    list(FILTER sources EXCLUDE REGEX "${left_out}")
    list(SORT sources)
  endif()
  target_sources(tenon_lite PRIVATE ${sources})
  set(index 0)
  foreach(source ${sources})
    if(source MATCHES "_simd\\.cc$")
      set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON SKIP_PRECOMPILE_HEADERS ON
                                  COMPILE_OPTIONS "-O2;${TENON_SIMD_OPTIONS}")
    else()
      math(EXPR chunk "${index} / 24")
      math(EXPR index "${index} + 1")
      set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${folder}_${chunk})
    endif()
  endforeach()
endforeach()
set(table ${generated}/register_all_ops.cc)
execute_process(COMMAND ${CMAKE_COMMAND} "-DSOURCES=${op_sources}" "-DONLY=${op_names}" -DOUTPUT=${table}
  -P ${tenon_SOURCE_DIR}/tools/gen_op_table.cmake COMMAND_ERROR_IS_FATAL ANY)
target_sources(tenon_lite PRIVATE ${table})
set_target_properties(tenon_lite PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
add_dependencies(tenon_lite tenon_lite_schema)
target_include_directories(tenon_lite PUBLIC ${tenon_SOURCE_DIR}
  PRIVATE ${tenon_SOURCE_DIR}/tenon/base/small_status ${generated})
target_include_directories(tenon_lite SYSTEM PRIVATE ${headers})
target_compile_definitions(tenon_lite PRIVATE TENON_LITE TENON_LITE_VERSION="${PROJECT_VERSION}")
target_compile_options(tenon_lite PRIVATE -ffunction-sections -fdata-sections)
target_precompile_headers(tenon_lite PRIVATE ${TENON_PCH})
target_link_libraries(tenon_lite PRIVATE tenon_flags PUBLIC Threads::Threads)
target_link_options(tenon_lite INTERFACE -Wl,--gc-sections)

# Its arrays are io's, whose .npz the linker leaves out with zlib.
add_executable(tenon-lite tenon/lite/program/main.cc tenon/io/npy.cc)
target_include_directories(tenon-lite PRIVATE ${tenon_SOURCE_DIR}/tenon/base/small_status ${generated})
target_include_directories(tenon-lite SYSTEM PRIVATE ${headers})
target_compile_definitions(tenon-lite PRIVATE TENON_LITE TENON_LITE_VERSION="${PROJECT_VERSION}")
target_link_options(tenon-lite PRIVATE -s)
target_compile_options(tenon-lite PRIVATE -ffunction-sections -fdata-sections)
target_link_libraries(tenon-lite PRIVATE tenon_lite tenon_flags)

set(TENON_TEST_PREFIX "" CACHE STRING "Stands before the names of this build's tests")
set(TENON_LITE_MOST_BYTES "" CACHE STRING "What tenon-lite may have, stripped")
enable_testing()
include(TenonTest)
add_subdirectory(tests/lite)
add_subdirectory(examples/wake_word)
