# gbe_test(NAME goenv_versions SOURCES a_test.cpp … LIBS gbe_goenv … [LABELS slow …])
#   One GoogleTest executable, one ctest entry. rapidcheck is available through LIBS rapidcheck.
# Here, in the top folder's scope: in a subfolder ctest would not find what it registers.
if(GBE_BUILD_TESTS OR GBE_BUILD_FUZZERS)
  enable_testing()
endif()
if(GBE_BUILD_FUZZERS)
  # With what they link only: the operator itself is a third of the tree.
  add_custom_target(fuzzers)
endif()
if(GBE_BUILD_TESTS)
  find_package(GTest REQUIRED)
  # Those with threads of their own: what is built and run under ThreadSanitizer.
  add_custom_target(threaded_tests)
  add_library(gbe_logger_before_threads OBJECT tests/logger_before_threads.cpp)
  target_link_libraries(gbe_logger_before_threads PRIVATE gbe_options PUBLIC spdlog::spdlog)
endif()

function(gbe_test)
  if(NOT GBE_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;LIBS;LABELS" ${ARGN})
  add_executable(${ARG_NAME}_test ${ARG_SOURCES})
  target_link_libraries(${ARG_NAME}_test PRIVATE gbe_options ${ARG_LIBS} GTest::gtest GTest::gmock GTest::gtest_main)
  # Relative on purpose: an absolute path in the command line would defeat ccache between checkouts.
  # Tests therefore run in the root of the tree; by hand, start them from there too.
  target_compile_definitions(${ARG_NAME}_test PRIVATE GBE_SOURCE_DIR=".")
  add_test(NAME ${ARG_NAME} COMMAND ${ARG_NAME}_test --gtest_brief=1
    WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
  # libcpprest is not instrumented, so what uses it reports races that are none.
  if(ARG_NAME MATCHES "^(kube|controllers|webhooks_server|agent_(caches_node|collection|fetch|store|trash)$)" AND NOT ARG_NAME STREQUAL "kube_web")
    list(APPEND ARG_LABELS threads)
    target_link_libraries(${ARG_NAME}_test PRIVATE gbe_logger_before_threads)
    add_dependencies(threaded_tests ${ARG_NAME}_test)
  endif()
  set_tests_properties(${ARG_NAME} PROPERTIES TIMEOUT 300 LABELS "${ARG_LABELS}")
endfunction()

# gbe_fuzzer(NAME review SOURCES review_fuzz.cpp LIBS gbe_webhooks CORPUS dir)
#   A libFuzzer executable and a ctest entry that replays the corpus, then fuzzes GBE_FUZZ_SECONDS.
set(GBE_FUZZ_SECONDS 10 CACHE STRING "Seconds each fuzz target runs under ctest")
function(gbe_fuzzer)
  if(NOT GBE_BUILD_FUZZERS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "NAME;CORPUS" "SOURCES;LIBS" ${ARGN})
  add_executable(${ARG_NAME}_fuzz ${ARG_SOURCES})
  add_dependencies(fuzzers ${ARG_NAME}_fuzz)
  target_link_libraries(${ARG_NAME}_fuzz PRIVATE gbe_options ${ARG_LIBS})
  target_link_options(${ARG_NAME}_fuzz PRIVATE -fsanitize=fuzzer)
  # New inputs go to the build folder; the corpus in the tree is only read.
  file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/fuzz/${ARG_NAME}")
  add_test(NAME fuzz_${ARG_NAME} COMMAND ${ARG_NAME}_fuzz
    -max_total_time=${GBE_FUZZ_SECONDS} -timeout=5 -rss_limit_mb=1024 -max_len=65536
    "${CMAKE_BINARY_DIR}/fuzz/${ARG_NAME}" "${ARG_CORPUS}"
    -artifact_prefix=${CMAKE_BINARY_DIR}/fuzz/${ARG_NAME}-)
  set_tests_properties(fuzz_${ARG_NAME} PROPERTIES TIMEOUT 120 LABELS fuzz)
endfunction()
