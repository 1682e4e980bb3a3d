# Tests that are scripts: tenon_script_test, and the tests of the presets for sanitizers and for ARM as part of one run.

find_package(Python3 COMPONENTS Interpreter)
set(TENON_VENV_PYTHON $ENV{TENON_VENV})
if(NOT TENON_VENV_PYTHON)
  set(TENON_VENV_PYTHON ${tenon_SOURCE_DIR}/.venv)
endif()
string(APPEND TENON_VENV_PYTHON /bin/python)
set(TENON_SHARED_DIR ${tenon_SOURCE_DIR}/../shared CACHE PATH
    "Reference cases made with TensorFlow; tests that read them are left out where it is absent")

# tenon_script_test(<name> LABEL <label> [TIMEOUT <s>] [PROCESSORS <n>] [ALONE] COMMAND ...)
# The command runs in the repository's root. ALONE: beside no other test.
function(tenon_script_test name)
  cmake_parse_arguments(ARG "ALONE" "TIMEOUT;PROCESSORS" "LABEL;COMMAND" ${ARGN})
  add_test(NAME ${name} COMMAND ${ARG_COMMAND} WORKING_DIRECTORY ${tenon_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABEL}")
  if(ARG_TIMEOUT)
    set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT})
  endif()
  if(ARG_PROCESSORS)
    set_tests_properties(${name} PROPERTIES PROCESSORS ${ARG_PROCESSORS})
  endif()
  if(ARG_ALONE)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()

# tenon_program_test(<name> SCRIPT <script.py> <as above>): a Python script that starts the program, with
# tests/support/common.py.
function(tenon_program_test name)
  cmake_parse_arguments(ARG "" "" "SCRIPT" ${ARGN})
  tenon_script_test(${name} ${ARG_UNPARSED_ARGUMENTS}
    COMMAND ${CMAKE_COMMAND} -E env TENON=$<TARGET_FILE:tenon>
            PYTHONPATH=${tenon_SOURCE_DIR}/tests/support ${TENON_VENV_PYTHON} -B ${ARG_SCRIPT})
endfunction()

# ctest starts with the tests that took longest in the runs before, so that none is left to run alone at the end. A fresh
# clone has seen none: it takes the figures of tests/durations.txt (name, runs, seconds; what ctest keeps after a run).
set(durations ${tenon_BINARY_DIR}/Testing/Temporary/CTestCostData.txt)
if(NOT EXISTS ${durations})
  configure_file(${tenon_SOURCE_DIR}/tests/durations.txt ${durations} COPYONLY)
endif()

# `./dev test` names presets in TENON_TEST_PRESETS; ctest then runs their tests too, each under its
# preset's prefix, so that one summary covers all.
file(WRITE ${tenon_BINARY_DIR}/preset_tests.cmake "
foreach(preset asan tsan aarch64 armv7)
  if(\" \$ENV{TENON_TEST_PRESETS} \" MATCHES \" \${preset} \")
    if(EXISTS \"${tenon_SOURCE_DIR}/build-\${preset}/CTestTestfile.cmake\")
      subdirs(\"${tenon_SOURCE_DIR}/build-\${preset}\")
    endif()
  endif()
endforeach()
")
if(NOT TENON_SANITIZE AND NOT TENON_LITE)
  set_property(DIRECTORY ${tenon_SOURCE_DIR} APPEND PROPERTY
               TEST_INCLUDE_FILES ${tenon_BINARY_DIR}/preset_tests.cmake)
endif()
