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
add_library(tenon_lite_objects OBJECT)
foreach(folder base core kernels graph passes runtime lite ops)
  if(folder STREQUAL "ops")
    set(sources ${op_sources})
  else()
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${tenon_SOURCE_DIR}/tenon/${folder}/*.cc)
    list(FILTER sources EXCLUDE REGEX "${left_out}")
    list(SORT sources)
  endif()
  target_sources(tenon_lite_objects PRIVATE ${sources})
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
set_target_properties(tenon_lite_objects PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
target_precompile_headers(tenon_lite_objects PRIVATE ${TENON_PCH})
add_dependencies(tenon_lite_objects tenon_lite_schema)

# How the runtime's own sources are compiled. Functions that do not throw need no tables for it.
set(TENON_LITE_OPTIONS -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -fno-rtti)
option(TENON_LITE_EXCEPTIONS "OFF: a fifth smaller, and memory that cannot be had may end the process" ON)
if(NOT TENON_LITE_EXCEPTIONS)
  list(APPEND TENON_LITE_OPTIONS -fno-exceptions -fno-unwind-tables)
endif()
function(tenon_lite_sources target)
  target_include_directories(${target} PRIVATE ${tenon_SOURCE_DIR}/tenon/base/small_status ${generated})
  target_include_directories(${target} SYSTEM PRIVATE ${headers})
  target_compile_definitions(${target} PRIVATE TENON_LITE TENON_LITE_VERSION="${PROJECT_VERSION}")
  target_compile_options(${target} PRIVATE ${TENON_LITE_OPTIONS})
  target_link_libraries(${target} PRIVATE tenon_flags)
endfunction()
tenon_lite_sources(tenon_lite_objects)

set(TENON_LITE_LINK_OPTIONS -Wl,--gc-sections)
if(APPLE)
  set(TENON_LITE_LINK_OPTIONS -Wl,-dead_strip)
endif()

# tenon_lite_runtime(<suffix> <folder> <tables>): the library and the program with the ops of a folder's tables, in a folder.
# Objects are shared: what a table does not reach, the linker leaves out of a program.
function(tenon_lite_runtime suffix folder tables)
  set(table ${tables}/register_all_ops.cc ${tables}/lite_operators.cc)
  set(library tenon_lite${suffix})
  set(program tenon-lite${suffix})
  add_library(${library} STATIC ${table} $<TARGET_OBJECTS:tenon_lite_objects>)
  tenon_lite_sources(${library})
  target_include_directories(${library} PUBLIC ${tenon_SOURCE_DIR})
  target_link_libraries(${library} PUBLIC Threads::Threads)
  target_link_options(${library} INTERFACE ${TENON_LITE_LINK_OPTIONS})
  # The interface of tenon/lite.h and nothing else; built where it is asked for.
  add_library(${library}_shared SHARED EXCLUDE_FROM_ALL ${table} $<TARGET_OBJECTS:tenon_lite_objects>)
  tenon_lite_sources(${library}_shared)
  target_link_libraries(${library}_shared PRIVATE Threads::Threads)
  target_link_options(${library}_shared PRIVATE ${TENON_LITE_LINK_OPTIONS})
  if(NOT APPLE)
    target_link_options(${library}_shared PRIVATE -s -Wl,--version-script=${tenon_SOURCE_DIR}/tenon/lite/exports.map)
  endif()
  set_target_properties(${library}_shared PROPERTIES OUTPUT_NAME tenon_lite LIBRARY_OUTPUT_DIRECTORY ${folder})
  # Its arrays are io's, whose .npz the linker leaves out with zlib.
  add_executable(${program} tenon/lite/program/main.cc tenon/io/npy.cc)
  tenon_lite_sources(${program})
  target_link_options(${program} PRIVATE -s)
  target_link_libraries(${program} PRIVATE ${library})
  set_target_properties(${library} PROPERTIES OUTPUT_NAME tenon_lite ARCHIVE_OUTPUT_DIRECTORY ${folder})
  set_target_properties(${program} PROPERTIES OUTPUT_NAME tenon-lite RUNTIME_OUTPUT_DIRECTORY ${folder})
endfunction()

file(GLOB translations CONFIGURE_DEPENDS ${tenon_SOURCE_DIR}/tenon/lite/translate_*.cc)
# tenon_lite_tables(<folder> <argument> [DEPENDS <files>]): register_all_ops.cc and lite_operators.cc in a folder, as commands of the build.
function(tenon_lite_tables folder argument)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  set(script ${tenon_SOURCE_DIR}/tools/gen_op_table.cmake)
  add_custom_command(OUTPUT ${folder}/register_all_ops.cc
    COMMAND ${CMAKE_COMMAND} "-DSOURCES=${op_sources}" "${argument}" -DOUTPUT=${folder}/register_all_ops.cc -P ${script}
    DEPENDS ${script} ${op_sources} ${ARG_DEPENDS} VERBATIM)
  list(FILTER argument INCLUDE REGEX "NEEDED")
  set(script ${tenon_SOURCE_DIR}/tools/gen_lite_operators.cmake)
  add_custom_command(OUTPUT ${folder}/lite_operators.cc
    COMMAND ${CMAKE_COMMAND} "-DSOURCES=${translations}" ${argument} -DOUTPUT=${folder}/lite_operators.cc -P ${script}
    DEPENDS ${script} ${translations} ${ARG_DEPENDS} VERBATIM)
endfunction()
tenon_lite_tables(${generated} "-DONLY=${op_names}")
tenon_lite_runtime("" ${tenon_BINARY_DIR} ${generated})

# The program says which operators the models have and which ops their graphs come to, under an emulator where it is for another
# machine. Where it cannot run here, TENON_LITE_OPS is what `tenon-lite ops` of this machine printed.
set(TENON_LITE_MODELS "" CACHE STRING "Models that models/libtenon_lite.a and models/tenon-lite are for, and no others")
set(TENON_LITE_OPS "" CACHE FILEPATH "What models/ is for, as `tenon-lite ops` says it, in place of models")
if(TENON_LITE_MODELS OR TENON_LITE_OPS)
  set(folder ${tenon_BINARY_DIR}/models)
  file(MAKE_DIRECTORY ${folder})
  set(needed ${TENON_LITE_OPS})
  if(TENON_LITE_MODELS)
    set(needed ${folder}/ops.txt)
    add_custom_command(OUTPUT ${needed} COMMAND tenon-lite ops ${TENON_LITE_MODELS} > ${needed}.new
      COMMAND ${CMAKE_COMMAND} -E rename ${needed}.new ${needed}
      DEPENDS tenon-lite ${TENON_LITE_MODELS} COMMENT "Running ${TENON_LITE_MODELS}")
  endif()
  tenon_lite_tables(${folder} -DNEEDED=${needed} DEPENDS ${needed})
  tenon_lite_runtime(_models ${folder} ${folder})
endif()

set(TENON_TEST_PREFIX "" CACHE STRING "Stands before the names of this build's tests")
set(TENON_LITE_MOST_BYTES "" CACHE STRING "What tenon-lite may have, stripped")
enable_testing()
include(TenonTest)
add_subdirectory(tests/lite)
add_subdirectory(examples/wake_word)
